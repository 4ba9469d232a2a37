//! `y = a + b`, elementwise; `da = dy`, `db = dy`.

use tensor::{Backend, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.add(io.inputs[0], io.inputs[1], io.outputs[0]);
    }

    fn vjp(
        &self,
        _graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        Ok(vec![grads[0], grads[0]])
    }
}

impl Graph {
    /// a + b, of one shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.same_shape("add", a, b)?;
        let [y] = self.push(Add, &[a, b], [self.shape(a)]);
        Ok(y)
    }
}
