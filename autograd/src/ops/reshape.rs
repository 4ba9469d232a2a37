//! The same elements in the same order under another shape.
//!
//! A copy, unless x dies here: then y takes over its memory.

use tensor::{Backend, Error, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Reshape;

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        if io.inputs[0] != io.outputs[0] {
            backend.copy(io.inputs[0], io.outputs[0]);
        }
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let shape = graph.shape(node.inputs[0]);
        Ok(vec![grads[0].map(|dy| graph.reshape(dy, shape)).transpose()?])
    }
}

impl Graph {
    /// x under another shape of as many elements.
    ///
    /// # Errors
    /// If the numbers of elements differ.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value> {
        let (from, to) = (self.shape(x), shape.into());
        if from.elements() != to.elements() {
            let detail = format!("{from} and {to} have different numbers of elements");
            return Err(Error::shape("reshape", detail));
        }
        let [y] = self.push(Reshape, &[x], [to]);
        Ok(y)
    }
}
