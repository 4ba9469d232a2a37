//! Rows: `y[i] = x[index[i]]`; `dx[index[i]] += dy[i]` over zeros. Columns: `y[r,i] = x[r,index[i]]`;
//! `dx[r,index[i]] = dy[r,i]` over zeros, for distinct indices.

use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{DType, Gradients, Graph, Node, Value};

impl Graph {
    /// The columns of x `[N,C]` at the first `count` of the distinct indices `index` `[M]`:
    /// `[N,count]`. Indices must be below C.
    ///
    /// # Errors
    /// If x is not a matrix, or the index is not a vector of at least `count` indices.
    pub fn gather_columns(&mut self, x: Value, index: Value, count: usize) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        let is_index = si.len() == 1 && si[0] >= count && self.info(index).dtype == DType::U32;
        if sx.len() != 2 || !is_index {
            let detail =
                format!("{count} columns of {sx} by index {si}: should be [N,C], [M] of u32");
            return Err(Error::shape("gather_columns", detail));
        }
        let kernel = Kernel::GatherColumns { columns: sx[1] };
        Ok(self.apply(kernel, &[x, index], Shape::from([sx[0], count])))
    }

    /// The rows of x `[N,C]` at `index` `[M]`: `[M,C]`. Indices must be below N.
    ///
    /// # Errors
    /// If x is not a matrix, or the index is not a vector of indices.
    pub fn gather_rows(&mut self, x: Value, index: Value) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        if sx.len() != 2 || si.len() != 1 || self.info(index).dtype != DType::U32 {
            let detail = format!("rows of {sx} by index {si}: should be [N,C] and [M] of u32");
            return Err(Error::shape("gather_rows", detail));
        }
        let kernel = Kernel::GatherRows { columns: sx[1] };
        Ok(self.apply(kernel, &[x, index], Shape::from([si[0], sx[1]])))
    }
}

pub(super) fn vjp(g: &mut Graph, node: &Node, backward: Kernel, dy: Value) -> Gradients {
    let (x, index) = (node.inputs[0], node.inputs[1]);
    Ok(vec![Some(g.apply(backward, &[dy, index], g.shape(x))), None])
}
