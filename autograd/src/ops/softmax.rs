//! Softmax and log-softmax of each row.
//!
//! `y = exp(x - max) / sum exp(x - max)`; `dx = y (dy - <dy, y>)`. For `l = log y`:
//! `dx = dy - exp(l) sum(dy)`. Both gradients need y alone.

use tensor::{Backend, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

#[derive(Clone, Copy)]
struct Softmax {
    columns: usize,
    log: bool,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        5 * outputs[0].elements() as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let (x, y) = (io.inputs[0], io.outputs[0]);
        if self.log {
            backend.log_softmax(self.columns, x, y);
        } else {
            backend.softmax(self.columns, x, y);
        }
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dx = grads[0].map(|dy| {
            let [dx] =
                graph.push(SoftmaxBackward(*self), &[node.outputs[0], dy], [graph.shape(dy)]);
            dx
        });
        Ok(vec![dx])
    }
}

struct SoftmaxBackward(Softmax);

impl Op for SoftmaxBackward {
    fn name(&self) -> &'static str {
        if self.0.log { "log_softmax_backward" } else { "softmax_backward" }
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        4 * outputs[0].elements() as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let (y, dy, dx) = (io.inputs[0], io.inputs[1], io.outputs[0]);
        if self.0.log {
            backend.log_softmax_backward(self.0.columns, y, dy, dx);
        } else {
            backend.softmax_backward(self.0.columns, y, dy, dx);
        }
    }
}

impl Graph {
    /// Softmax of each row of `[.., C]`.
    pub fn softmax(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let [y] = self.push(Softmax { columns: shape.columns(), log: false }, &[x], [shape]);
        y
    }

    /// Logarithm of the softmax of each row of `[.., C]`.
    pub fn log_softmax(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let [y] = self.push(Softmax { columns: shape.columns(), log: true }, &[x], [shape]);
        y
    }
}
