//! Reductions: the sum or mean of everything, the sum over the rows, and the sum over the columns.
//!
//! `y = alpha sum of x`, `dx = alpha dy` everywhere; `y[c] = sum over r of x[r,c]`,
//! `dx[r,c] = dy[c]`; `y[r] = sum over c of x[r,c]`, `dx[r,c] = dy[r]`.

use tensor::{Kernel, Shape};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// The sum of all elements, `[1]`.
    pub fn sum(&mut self, x: Value) -> Value {
        self.apply(Kernel::Sum(1.0), &[x], Shape::from([1]))
    }

    /// The mean of all elements, `[1]`.
    pub fn mean(&mut self, x: Value) -> Value {
        let share = 1.0 / self.shape(x).elements() as f32;
        self.apply(Kernel::Sum(share), &[x], Shape::from([1]))
    }

    /// The sum over all rows of `[.., C]`: `[C]`.
    pub fn sum_rows(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let (rows, columns) = (shape.rows(), shape.columns());
        self.apply(Kernel::SumRows { rows, columns }, &[x], Shape::from([columns]))
    }

    /// The sum of each row of x `[R,C]`: `[R]`.
    pub fn sum_columns(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let kernel = Kernel::SumColumns { columns: shape.columns() };
        self.apply(kernel, &[x], Shape::from([shape.rows()]))
    }
}

pub(super) fn sum_vjp(g: &mut Graph, node: &Node, alpha: f32, dy: Value) -> Gradients {
    let alpha = g.fill(g.shape(node.inputs[0]), alpha);
    Ok(vec![Some(g.scale_by(dy, alpha)?)])
}

pub(super) fn sum_rows_vjp(g: &mut Graph, node: &Node, dy: Value) -> Gradients {
    let zeros = g.fill(g.shape(node.inputs[0]), 0.0);
    Ok(vec![Some(g.add_bias(zeros, dy)?)])
}
