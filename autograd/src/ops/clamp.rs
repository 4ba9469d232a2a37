//! `y = min(max(x, low), high)`; `dx = dy where low <= x <= high`, else 0, as in PyTorch.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

#[derive(Clone, Copy)]
struct Clamp {
    low: f32,
    high: f32,
}

impl Op for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.clamp(self.low, self.high, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(ClampBackward(*self), &[node.inputs[0], dy], [graph.shape(dy)]);
            dx
        });
        Ok(vec![dx])
    }
}

struct ClampBackward(Clamp);

impl Op for ClampBackward {
    fn name(&self) -> &'static str {
        "clamp_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let Clamp { low, high } = self.0;
        backend.clamp_backward(low, high, io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// x with everything below `low` raised to it and everything above `high` lowered to it.
    pub fn clamp(&mut self, x: Value, low: f32, high: f32) -> Value {
        let [y] = self.push(Clamp { low, high }, &[x], [self.shape(x)]);
        y
    }
}
