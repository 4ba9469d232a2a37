//! `C = op(A) op(B)`, where op is the identity or the transpose, and the linear layer built on it.
//!
//! With `C = A B`: `dA = dC B^T` and `dB = A^T dC`; a transposed operand swaps the factors of its
//! gradient and transposes it.

use tensor::geometry::Gemm;
use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// op(A) op(B): `[m,k]` (`[k,m]` if `trans_a`) by `[k,n]` (`[n,k]` if `trans_b`) to `[m,n]`.
    ///
    /// # Errors
    /// Ranks other than 2, or inner sizes that differ.
    pub fn matmul(&mut self, a: Value, trans_a: bool, b: Value, trans_b: bool) -> Result<Value> {
        let (sa, sb) = (self.shape(a), self.shape(b));
        let (&[a0, a1], &[b0, b1]) = (&sa[..], &sb[..]) else {
            return Err(Error::shape("matmul", format!("{sa} and {sb} are not two matrices")));
        };
        let (m, k) = if trans_a { (a1, a0) } else { (a0, a1) };
        let (inner, n) = if trans_b { (b1, b0) } else { (b0, b1) };
        if k != inner {
            let t = |transposed: bool| if transposed { " transposed" } else { "" };
            let detail = format!(
                "{sa}{} times {sb}{}: inner sizes {k} and {inner} differ",
                t(trans_a),
                t(trans_b)
            );
            return Err(Error::shape("matmul", detail));
        }
        let gemm = Gemm { m, n, k, trans_a, trans_b };
        Ok(self.apply(Kernel::Gemm(gemm), &[a, b], Shape::from([m, n])))
    }

    /// The linear layer `y = x W^T + bias`: x `[N,I]`, W `[O,I]`, bias `[O]`, y `[N,O]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let y = self.matmul(x, false, weight, true)?;
        match bias {
            Some(bias) => self.add_bias(y, bias),
            None => Ok(y),
        }
    }
}

pub(super) fn vjp(g: &mut Graph, node: &Node, gemm: Gemm, dc: Value, wanted: &[bool]) -> Gradients {
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let Gemm { trans_a, trans_b, .. } = gemm;
    let da = match (wanted[0], trans_a) {
        (false, _) => None,
        (true, false) => Some(g.matmul(dc, false, b, !trans_b)?),
        (true, true) => Some(g.matmul(b, trans_b, dc, true)?),
    };
    let db = match (wanted[1], trans_b) {
        (false, _) => None,
        (true, false) => Some(g.matmul(a, !trans_a, dc, false)?),
        (true, true) => Some(g.matmul(dc, true, a, trans_a)?),
    };
    Ok(vec![da, db])
}

/// As [`vjp`], and the bias's gradient, the sum of dc over its rows.
pub(super) fn bias_vjp(
    g: &mut Graph,
    node: &Node,
    gemm: Gemm,
    dc: Value,
    wanted: &[bool],
) -> Gradients {
    let dbias = wanted[2].then(|| g.sum_rows(dc));
    let mut gradients = vjp(g, node, gemm, dc, wanted)?;
    gradients.push(dbias);
    Ok(gradients)
}
