//! Concatenation along the rows, and the part of the rows that is its gradient.
//!
//! `y = [x_1; x_2; ..]`; `dx_i` is the same rows of dy. The gradient of a part is zero elsewhere.

use tensor::{Backend, Error, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

struct ConcatRows;

impl Op for ConcatRows {
    fn name(&self) -> &'static str {
        "concat_rows"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let mut start = 0;
        for &x in &io.inputs {
            backend.copy(x, io.outputs[0].part(start, x.len));
            start += x.len;
        }
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None; node.inputs.len()]) };
        let mut start = 0;
        let mut dxs = Vec::new();
        for (&x, &wanted) in node.inputs.iter().zip(wanted) {
            let rows = graph.shape(x)[0];
            dxs.push(wanted.then(|| graph.slice_rows(dy, start, rows)).transpose()?);
            start += rows;
        }
        Ok(dxs)
    }
}

/// From element `start` on.
struct SliceRows {
    start: usize,
}

impl Op for SliceRows {
    fn name(&self) -> &'static str {
        "slice_rows"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let y = io.outputs[0];
        backend.copy(io.inputs[0].part(self.start, y.len), y);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let x = graph.shape(node.inputs[0]);
        let [dx] = graph.push(PadRows { start: self.start }, &[dy], [x]);
        Ok(vec![Some(dx)])
    }
}

/// Zeros with dy in place from element `start` on.
struct PadRows {
    start: usize,
}

impl Op for PadRows {
    fn name(&self) -> &'static str {
        "slice_rows_backward"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let (dy, dx) = (io.inputs[0], io.outputs[0]);
        backend.fill(dx, 0.0);
        backend.copy(dy, dx.part(self.start, dy.len));
    }
}

impl Graph {
    /// All rows of all `parts`, one part after the other: sizes behind the first must agree.
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
        let [y] = self.push(ConcatRows, parts, [Shape::new(&sizes)]);
        Ok(y)
    }

    /// `rows` rows of x from row `start` on.
    ///
    /// # Errors
    /// If x has not that many rows.
    pub fn slice_rows(&mut self, x: Value, start: usize, rows: usize) -> Result<Value> {
        let shape = self.shape(x);
        if shape.is_empty() || start + rows > shape[0] {
            let detail = format!("rows {start} to {} of {shape}", start + rows);
            return Err(Error::shape("slice_rows", detail));
        }
        let mut sizes = shape.to_vec();
        sizes[0] = rows;
        let row = shape[1..].iter().product::<usize>();
        let [y] = self.push(SliceRows { start: start * row }, &[x], [Shape::new(&sizes)]);
        Ok(y)
    }
}
