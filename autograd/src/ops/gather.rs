//! Rows: `y[i] = x[index[i]]`; `dx[index[i]] += dy[i]` over zeros. Columns: `y[r,i] = x[r,index[i]]`;
//! `dx[r,index[i]] = dy[r,i]` over zeros, for distinct indices.

use tensor::{Backend, Error, Result, Shape};

use crate::graph::{DType, Graph, Io, Node, Op, Value};

#[derive(Clone, Copy)]
struct GatherRows {
    columns: usize,
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gather_rows(self.columns, io.inputs[0], io.inputs[1], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let [x, index] = [node.inputs[0], node.inputs[1]];
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(ScatterAddRows(*self), &[dy, index], [graph.shape(x)]);
            dx
        });
        Ok(vec![dx, None])
    }
}

struct ScatterAddRows(GatherRows);

impl Op for ScatterAddRows {
    fn name(&self) -> &'static str {
        "scatter_add_rows"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.scatter_add_rows(self.0.columns, io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

#[derive(Clone, Copy)]
struct GatherColumns {
    columns: usize,
}

impl Op for GatherColumns {
    fn name(&self) -> &'static str {
        "gather_columns"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gather_columns(self.columns, io.inputs[0], io.inputs[1], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let [x, index] = [node.inputs[0], node.inputs[1]];
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(GatherColumnsBackward(*self), &[dy, index], [graph.shape(x)]);
            dx
        });
        Ok(vec![dx, None])
    }
}

struct GatherColumnsBackward(GatherColumns);

impl Op for GatherColumnsBackward {
    fn name(&self) -> &'static str {
        "gather_columns_backward"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gather_columns_backward(self.0.columns, io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// The columns of x `[N,C]` that the first `count` of the distinct indices `index` `[M]` name:
    /// `[N,count]`. Indices must be below C.
    ///
    /// # Errors
    /// If x is no matrix, the index is no vector of indices, or it has fewer than `count`.
    pub fn gather_columns(&mut self, x: Value, index: Value, count: usize) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        let is_index = si.len() == 1 && si[0] >= count && self.info(index).dtype == DType::U32;
        if sx.len() != 2 || !is_index {
            let detail = format!("{count} columns of {sx} by index {si}: wants [N,C], [M] of u32");
            return Err(Error::shape("gather_columns", detail));
        }
        let op = GatherColumns { columns: sx[1] };
        let [y] = self.push(op, &[x, index], [Shape::from([sx[0], count])]);
        Ok(y)
    }

    /// The rows of x `[N,C]` that `index` `[M]` names: `[M,C]`. Indices must be below N.
    ///
    /// # Errors
    /// If x is no matrix or the index is no vector of indices.
    pub fn gather_rows(&mut self, x: Value, index: Value) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        if sx.len() != 2 || si.len() != 1 || self.info(index).dtype != DType::U32 {
            let detail = format!("rows of {sx} by index {si}: wants [N,C] and [M] of u32");
            return Err(Error::shape("gather_rows", detail));
        }
        let columns = sx[1];
        let [y] = self.push(GatherRows { columns }, &[x, index], [Shape::from([si[0], columns])]);
        Ok(y)
    }
}
