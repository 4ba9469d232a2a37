//! `y = ln x`; `dx = dy / x`.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Ln;

impl Op for Ln {
    fn name(&self) -> &'static str {
        "ln"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.ln(io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let dx = grads[0].map(|dy| {
            let [dx] = graph.push(LnBackward, &[node.inputs[0], dy], [graph.shape(dy)]);
            dx
        });
        Ok(vec![dx])
    }
}

struct LnBackward;

impl Op for LnBackward {
    fn name(&self) -> &'static str {
        "ln_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.ln_backward(io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// The natural logarithm of every element.
    pub fn ln(&mut self, x: Value) -> Value {
        let [y] = self.push(Ln, &[x], [self.shape(x)]);
        y
    }
}
