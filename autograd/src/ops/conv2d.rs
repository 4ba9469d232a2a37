//! Convolution of channels-last images, as one implicit GEMM over output pixels.
//!
//! `y[n,p,q,o] = sum over r,s,c of x[n, p*stride+r-padding, q*stride+s-padding, c] w[o,r,s,c]`
//!
//! `dw[o,r,s,c] = sum over n,p,q of dy[n,p,q,o] x[n, p*stride+r-padding, q*stride+s-padding, c]`
//! and dx adds up `dy[n,p,q,o] w[o,r,s,c]` at the pixels that each window read.

use tensor::geometry::Conv2d;
use tensor::{Backend, Result, Shape};

use crate::graph::{Graph, Io, Node, Op, Value};

struct Forward(Conv2d);

impl Op for Forward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.conv2d_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.conv2d(self.0, io.inputs[0], io.inputs[1], io.outputs[0], io.workspace);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let (x, weight, Some(dy)) = (node.inputs[0], node.inputs[1], grads[0]) else {
            return Ok(vec![None, None]);
        };
        let dx = wanted[0].then(|| {
            let [dx] = graph.push(GradInput(self.0), &[dy, weight], [graph.shape(x)]);
            dx
        });
        let dweight = wanted[1].then(|| {
            let [dw] = graph.push(GradWeight(self.0), &[x, dy], [graph.shape(weight)]);
            dw
        });
        Ok(vec![dx, dweight])
    }
}

struct GradInput(Conv2d);

impl Op for GradInput {
    fn name(&self) -> &'static str {
        "conv2d_grad_input"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.conv2d_grad_input_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.conv2d_grad_input(self.0, io.inputs[0], io.inputs[1], io.outputs[0], io.workspace);
    }
}

struct GradWeight(Conv2d);

impl Op for GradWeight {
    fn name(&self) -> &'static str {
        "conv2d_grad_weight"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.conv2d_grad_weight_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.conv2d_grad_weight(self.0, io.inputs[0], io.inputs[1], io.outputs[0], io.workspace);
    }
}

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
        let [y] = self.push(Forward(conv), &[x, weight], [conv.y_shape()]);
        Ok(y)
    }
}
