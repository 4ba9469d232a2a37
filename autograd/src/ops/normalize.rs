//! Rows of length 1: L2 normalisation, and weight norm of gain 1, which is the same with eps = 0.
//!
//! `y = x / n`, `n = max(|x|, eps)`; `dx = (dy - y <y, dy>) / n`, and `dy / eps` where |x| < eps.

use tensor::{Backend, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

#[derive(Clone, Copy)]
struct L2Normalize {
    columns: usize,
    eps: f32,
}

impl Op for L2Normalize {
    fn name(&self) -> &'static str {
        "l2_normalize"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        3 * outputs[0].elements() as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let (columns, eps) = (self.columns, self.eps);
        backend.l2_normalize(columns, eps, io.inputs[0], io.outputs[0], io.outputs[1]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let [y, norm] = [node.outputs[0], node.outputs[1]];
        let dx = grads[0].map(|dy| {
            let shape = graph.shape(dy);
            let [dx] = graph.push(L2NormalizeBackward(*self), &[y, norm, dy], [shape]);
            dx
        });
        Ok(vec![dx])
    }
}

struct L2NormalizeBackward(L2Normalize);

impl Op for L2NormalizeBackward {
    fn name(&self) -> &'static str {
        "l2_normalize_backward"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        5 * outputs[0].elements() as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let [y, norm, dy] = *io.inputs else { unreachable!("three inputs") };
        let L2Normalize { columns, eps } = self.0;
        backend.l2_normalize_backward(columns, eps, y, norm, dy, io.outputs[0]);
    }
}

impl Graph {
    /// Each row of `[.., C]` divided by the larger of its length and `eps`.
    pub fn l2_normalize(&mut self, x: Value, eps: f32) -> Value {
        let shape = self.shape(x);
        let op = L2Normalize { columns: shape.columns(), eps };
        let [y, _norm] = self.push(op, &[x], [shape, Shape::from([shape.rows()])]);
        y
    }

    /// Weight norm of gain 1: each row v of `[K,D]` divided by its length.
    pub fn weight_norm(&mut self, v: Value) -> Value {
        self.l2_normalize(v, 0.0)
    }
}
