//! Max, average and global average pooling of channels-last images `[N,H,W,C]`.
//!
//! Max: `y = max of the window`, the gradient goes to the first pixel with that value. Average: `y
//! = sum of the window / kernel^2`, padding counted as zeros. Global average: `y[n,c] = 1/(HW) sum
//! over h,w of x[n,h,w,c]`.

use tensor::geometry::Pool2d;
use tensor::{Error, Kernel, Result, Shape};

use crate::graph::{DType, Gradients, Graph, Node, Value};

impl Graph {
    /// Largest value of each window.
    ///
    /// # Errors
    /// See [`Pool2d::new`].
    pub fn max_pool2d(
        &mut self,
        x: Value,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Value> {
        let pool = Pool2d::new("max_pool2d", self.shape(x), kernel, stride, padding)?;
        let [y, _] = self.max_pool(x, pool);
        Ok(y)
    }

    /// Largest value of each window, and where it is.
    pub(super) fn max_pool(&mut self, x: Value, pool: Pool2d) -> [Value; 2] {
        let outputs = [DType::F32, DType::U32].map(|dtype| self.temp(pool.y_shape(), dtype));
        self.push_node(Kernel::MaxPool2d(pool), &[x], &outputs);
        outputs
    }

    /// Mean of each window, padding counted as zeros.
    ///
    /// # Errors
    /// See [`Pool2d::new`].
    pub fn avg_pool2d(
        &mut self,
        x: Value,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Value> {
        let pool = Pool2d::new("avg_pool2d", self.shape(x), kernel, stride, padding)?;
        Ok(self.apply(Kernel::AvgPool2d(pool), &[x], pool.y_shape()))
    }

    /// Mean over the pixels of each image: `[N,H,W,C]` to `[N,C]`.
    ///
    /// # Errors
    /// If x does not have four dimensions.
    pub fn global_avg_pool(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x);
        let &[n, h, w, c] = &shape[..] else {
            let detail = format!("input {shape} is not [N,H,W,C]");
            return Err(Error::shape("global_avg_pool", detail));
        };
        Ok(self.apply(Kernel::GlobalAvgPool { n, pixels: h * w }, &[x], Shape::from([n, c])))
    }
}

pub(super) fn max_vjp(g: &mut Graph, node: &Node, pool: Pool2d, dy: Value) -> Gradients {
    let (x, argmax) = (g.shape(node.inputs[0]), node.outputs[1]);
    Ok(vec![Some(g.apply(Kernel::MaxPool2dBackward(pool), &[dy, argmax], x))])
}
