//! Concatenation along the rows, and slices of rows, its gradient.
//!
//! `y = [x_1; x_2; ..]`; `dx_i` is the same rows of dy. The gradient of a slice is zero elsewhere.

use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// The concatenated rows of all `parts`; all dimensions but the first must agree.
    ///
    /// # Errors
    /// No parts, scalars, or rows that differ.
    pub fn concat_rows(&mut self, parts: &[Value]) -> Result<Value> {
        let Some(&first) = parts.first() else {
            return Err(Error::shape("concat_rows", "nothing to concatenate"));
        };
        let mut sizes = self.shape(first).to_vec();
        for &part in &parts[1..] {
            let (a, b) = (self.shape(first), self.shape(part));
            if a.is_empty() || b.is_empty() || a[1..] != b[1..] {
                let detail = format!("rows of {a} and {b} differ");
                return Err(Error::shape("concat_rows", detail));
            }
            sizes[0] += b[0];
        }
        if parts.len() == 1 {
            return Ok(first);
        }
        Ok(self.apply(Kernel::ConcatRows, parts, Shape::new(&sizes)))
    }

    /// `rows` rows of x from row `start` on.
    ///
    /// # Errors
    /// If x has fewer rows.
    pub fn slice_rows(&mut self, x: Value, start: usize, rows: usize) -> Result<Value> {
        let shape = self.shape(x);
        if shape.is_empty() || start + rows > shape[0] {
            let detail = format!("rows {start} to {} of {shape}", start + rows);
            return Err(Error::shape("slice_rows", detail));
        }
        let mut sizes = shape.to_vec();
        sizes[0] = rows;
        let row = shape[1..].iter().product::<usize>();
        Ok(self.apply(Kernel::SliceRows { start: start * row }, &[x], Shape::new(&sizes)))
    }
}

pub(super) fn concat_vjp(g: &mut Graph, node: &Node, dy: Value, wanted: &[bool]) -> Gradients {
    let mut start = 0;
    let mut dxs = Vec::new();
    for (&x, &wanted) in node.inputs.iter().zip(wanted) {
        let rows = g.shape(x)[0];
        dxs.push(wanted.then(|| g.slice_rows(dy, start, rows)).transpose()?);
        start += rows;
    }
    Ok(dxs)
}
