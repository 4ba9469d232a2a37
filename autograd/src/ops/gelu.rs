//! `y = x Phi(x)` with the normal distribution Phi, exact by erf; `dx = dy (Phi(x) + x phi(x))`.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Gelu;

impl Op for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gelu(io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(GeluBackward, &[node.inputs[0], dy], [graph.shape(dy)]);
            dx
        });
        Ok(vec![dx])
    }
}

struct GeluBackward;

impl Op for GeluBackward {
    fn name(&self) -> &'static str {
        "gelu_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gelu_backward(io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// x Phi(x), elementwise, exact.
    pub fn gelu(&mut self, x: Value) -> Value {
        let [y] = self.push(Gelu, &[x], [self.shape(x)]);
        y
    }
}
