//! `y = alpha x` with a constant alpha, and `y = s x` with a scalar s `[1]` of the graph.
//!
//! `dx = alpha dy`. The second is used for gradients only and has none itself.

use tensor::{Backend, Error, Result};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Scale(f32);

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn in_place(&self) -> Option<usize> {
        Some(0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.scale(self.0, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        _node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        Ok(vec![grads[0].map(|dy| graph.scale(dy, self.0))])
    }
}

struct ScaleBy;

impl Op for ScaleBy {
    fn name(&self) -> &'static str {
        "scale_by"
    }

    fn in_place(&self) -> Option<usize> {
        Some(1)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.scale_by(io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

impl Graph {
    /// alpha x.
    pub fn scale(&mut self, x: Value, alpha: f32) -> Value {
        let [y] = self.push(Scale(alpha), &[x], [self.shape(x)]);
        y
    }

    /// s x, with a scalar s of one element.
    ///
    /// # Errors
    /// If `s` has more than one element.
    pub fn scale_by(&mut self, s: Value, x: Value) -> Result<Value> {
        if self.shape(s).elements() != 1 {
            let detail = format!("factor {} of {} is not one number", self.shape(s), self.shape(x));
            return Err(Error::shape("scale_by", detail));
        }
        let [y] = self.push(ScaleBy, &[s, x], [self.shape(x)]);
        Ok(y)
    }
}
