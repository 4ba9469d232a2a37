//! Convolution of channels-last images, as one implicit GEMM over output pixels.
//!
//! `y[n,p,q,o] = sum over r,s,c of x[n, p*stride+r-padding, q*stride+s-padding, c] w[o,r,s,c]`
//!
//! `dw[o,r,s,c] = sum over n,p,q of dy[n,p,q,o] x[n, p*stride+r-padding, q*stride+s-padding, c]`
//! and dx accumulates `dy[n,p,q,o] w[o,r,s,c]` at the pixels that each window read.

use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::{Kernel, Result};

use crate::graph::{Gradients, Graph, Node, Value};

impl Graph {
    /// Convolution without bias: x `[N,H,W,C]`, weight `[O,R,S,C]`, result `[N,P,Q,O]`.
    ///
    /// # Errors
    /// Shapes that do not fit, a stride of 0, a kernel larger than the padded image.
    pub fn conv2d(
        &mut self,
        x: Value,
        weight: Value,
        stride: usize,
        padding: usize,
    ) -> Result<Value> {
        let conv = Conv2d::new(self.shape(x), self.shape(weight), stride, padding)?;
        Ok(self.apply(Kernel::Conv2d(conv), &[x, weight], conv.y_shape()))
    }

    /// Computes all convolutions so far by `algorithm`, where that can, instead of the one for their
    /// shape. Gradients appended later follow.
    pub fn convolve_by(&mut self, algorithm: ConvAlgorithm) {
        for node in &mut self.nodes {
            if let Kernel::Conv2d(conv) = &mut node.kernel {
                *conv = conv.by(algorithm);
            }
        }
    }
}

pub(super) fn vjp(
    g: &mut Graph,
    node: &Node,
    conv: Conv2d,
    dy: Value,
    wanted: &[bool],
) -> Gradients {
    let (x, weight) = (node.inputs[0], node.inputs[1]);
    let dx = wanted[0].then(|| g.apply(Kernel::Conv2dGradInput(conv), &[dy, weight], g.shape(x)));
    let dweight =
        wanted[1].then(|| g.apply(Kernel::Conv2dGradWeight(conv), &[x, dy], g.shape(weight)));
    Ok(vec![dx, dweight])
}
