//! Reductions: the sum or mean of everything, the sum over the rows, and the sum over the columns.
//!
//! `y = alpha sum of x`, `dx = alpha dy` everywhere; `y[c] = sum over r of x[r,c]`,
//! `dx[r,c] = dy[c]`; `y[r] = sum over c of x[r,c]`, `dx[r,c] = dy[r]`.

use tensor::{Backend, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

/// alpha, and the number of elements.
struct Sum(f32, usize);

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.1 as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.sum(self.0, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let alpha = graph.fill(graph.shape(node.inputs[0]), self.0);
        Ok(vec![Some(graph.scale_by(dy, alpha)?)])
    }
}

struct SumRows {
    rows: usize,
    columns: usize,
}

impl Op for SumRows {
    fn name(&self) -> &'static str {
        "sum_rows"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        (self.rows * self.columns) as u64
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.sum_rows_workspace(self.rows, self.columns)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.sum_rows(io.inputs[0], io.outputs[0], io.workspace);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let zeros = graph.fill(graph.shape(node.inputs[0]), 0.0);
        Ok(vec![Some(graph.add_bias(zeros, dy)?)])
    }
}

#[derive(Clone, Copy)]
struct SumColumns {
    rows: usize,
    columns: usize,
}

impl Op for SumColumns {
    fn name(&self) -> &'static str {
        "sum_columns"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        (self.rows * self.columns) as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.sum_columns(self.columns, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let shape = graph.shape(node.inputs[0]);
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(SumColumnsBackward(*self), &[dy], [shape]);
            dx
        });
        Ok(vec![dx])
    }
}

struct SumColumnsBackward(SumColumns);

impl Op for SumColumnsBackward {
    fn name(&self) -> &'static str {
        "sum_columns_backward"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.sum_columns_backward(self.0.columns, io.inputs[0], io.outputs[0]);
    }
}

impl Graph {
    /// The sum of all elements, `[1]`.
    pub fn sum(&mut self, x: Value) -> Value {
        let elements = self.shape(x).elements();
        let [y] = self.push(Sum(1.0, elements), &[x], [Shape::from([1])]);
        y
    }

    /// The mean of all elements, `[1]`.
    pub fn mean(&mut self, x: Value) -> Value {
        let elements = self.shape(x).elements();
        let [y] = self.push(Sum(1.0 / elements as f32, elements), &[x], [Shape::from([1])]);
        y
    }

    /// The sum over all rows of `[.., C]`: `[C]`.
    pub fn sum_rows(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let (rows, columns) = (shape.rows(), shape.columns());
        let [y] = self.push(SumRows { rows, columns }, &[x], [Shape::from([columns])]);
        y
    }

    /// The sum of each row of x `[R,C]`: `[R]`.
    pub fn sum_columns(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let (rows, columns) = (shape.rows(), shape.columns());
        let [y] = self.push(SumColumns { rows, columns }, &[x], [Shape::from([rows])]);
        y
    }
}
