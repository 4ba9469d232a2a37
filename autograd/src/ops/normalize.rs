//! Rows of length 1: L2 normalisation, and weight norm of gain 1, which is the same with eps = 0.
//!
//! `y = x / n`, `n = max(|x|, eps)`; `dx = (dy - y <y, dy>) / n`, and `dy / eps` where |x| < eps.

use tensor::{Kernel, Shape};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// Each row of `[.., C]` divided by the larger of its length and `eps`.
    pub fn l2_normalize(&mut self, x: Value, eps: f32) -> Value {
        let shape = self.shape(x);
        let kernel = Kernel::L2Normalize { columns: shape.columns(), eps };
        let [y, _norm] = self.push(kernel, &[x], [shape, Shape::from([shape.rows()])]);
        y
    }

    /// Weight norm of gain 1: each row v of `[K,D]` divided by its length.
    pub fn weight_norm(&mut self, v: Value) -> Value {
        self.l2_normalize(v, 0.0)
    }
}

pub(super) fn vjp(g: &mut Graph, node: &Node, dy: Value, columns: usize, eps: f32) -> Gradients {
    let inputs = [node.outputs[0], node.outputs[1], dy];
    let dx = g.apply(Kernel::L2NormalizeBackward { columns, eps }, &inputs, g.shape(dy));
    Ok(vec![Some(dx)])
}
