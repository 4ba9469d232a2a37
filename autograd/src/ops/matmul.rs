//! `C = op(A) op(B)`, where op is the identity or the transpose, and the linear layer made of it.
//!
//! With `C = A B`: `dA = dC B^T` and `dB = A^T dC`; a transposed operand swaps the factors of its
//! gradient and transposes it.

use tensor::geometry::Gemm;
use tensor::{Backend, Error, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Matmul(Gemm);

impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.gemm_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.gemm(self.0, io.inputs[0], io.inputs[1], io.outputs[0], io.workspace);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let (a, b, Some(dc)) = (node.inputs[0], node.inputs[1], grads[0]) else {
            return Ok(vec![None, None]);
        };
        let Gemm { trans_a, trans_b, .. } = self.0;
        let da = match (wanted[0], trans_a) {
            (false, _) => None,
            (true, false) => Some(graph.matmul(dc, false, b, !trans_b)?),
            (true, true) => Some(graph.matmul(b, trans_b, dc, true)?),
        };
        let db = match (wanted[1], trans_b) {
            (false, _) => None,
            (true, false) => Some(graph.matmul(a, !trans_a, dc, false)?),
            (true, true) => Some(graph.matmul(dc, true, a, trans_a)?),
        };
        Ok(vec![da, db])
    }
}

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
        let [c] = self.push(Matmul(gemm), &[a, b], [Shape::from([m, n])]);
        Ok(c)
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
