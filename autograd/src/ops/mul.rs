//! `y = a b`, elementwise; `da = dy b`, `db = dy a`.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Mul;

impl Op for Mul {
    fn name(&self) -> &'static str {
        "mul"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.mul(io.inputs[0], io.inputs[1], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let ([a, b], Some(dy)) = ([node.inputs[0], node.inputs[1]], grads[0]) else {
            return Ok(vec![None, None]);
        };
        let da = wanted[0].then(|| graph.mul(dy, b)).transpose()?;
        let db = wanted[1].then(|| graph.mul(dy, a)).transpose()?;
        Ok(vec![da, db])
    }
}

impl Graph {
    /// a times b, element by element, of one shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.same_shape("mul", a, b)?;
        let [y] = self.push(Mul, &[a, b], [self.shape(a)]);
        Ok(y)
    }
}
