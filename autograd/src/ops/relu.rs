//! `y = max(x, 0)`; `dx = dy where y > 0, else 0`: the gradient needs y, not x.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Relu;

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.relu(io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(ReluBackward, &[node.outputs[0], dy], [graph.shape(dy)]);
            dx
        });
        Ok(vec![dx])
    }
}

struct ReluBackward;

impl Op for ReluBackward {
    fn name(&self) -> &'static str {
        "relu_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.relu_backward(io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// max(x, 0), elementwise.
    pub fn relu(&mut self, x: Value) -> Value {
        let [y] = self.push(Relu, &[x], [self.shape(x)]);
        y
    }
}
