//! Max, average and global average pooling of channels-last images `[N,H,W,C]`.
//!
//! Max: `y = max of the window`, the gradient goes to the first pixel that had it. Average:
//! `y = sum of the window / kernel^2`, padding counted as zeros. Global average:
//! `y[n,c] = 1/(HW) sum over h,w of x[n,h,w,c]`.

use tensor::geometry::Pool2d;
use tensor::{Backend, Error, Result, Shape};

use crate::graph::{DType, Graph, Io, Node, Op, Value};

struct MaxPool(Pool2d);

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        (outputs[0].elements() * self.0.kernel * self.0.kernel) as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.max_pool2d(self.0, io.inputs[0], io.outputs[0], io.outputs[1]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let x = graph.shape(node.inputs[0]);
        let [dx] = graph.push(MaxPoolBackward(self.0), &[dy, node.outputs[1]], [x]);
        Ok(vec![Some(dx)])
    }
}

struct MaxPoolBackward(Pool2d);

impl Op for MaxPoolBackward {
    fn name(&self) -> &'static str {
        "max_pool2d_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.max_pool2d_backward(self.0, io.inputs[0], io.inputs[1], io.outputs[0]);
    }
}

struct AvgPool(Pool2d);

impl Op for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        (outputs[0].elements() * self.0.kernel * self.0.kernel) as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.avg_pool2d(self.0, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let [dx] = graph.push(AvgPoolBackward(self.0), &[dy], [graph.shape(node.inputs[0])]);
        Ok(vec![Some(dx)])
    }
}

struct AvgPoolBackward(Pool2d);

impl Op for AvgPoolBackward {
    fn name(&self) -> &'static str {
        "avg_pool2d_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.avg_pool2d_backward(self.0, io.inputs[0], io.outputs[0]);
    }
}

#[derive(Clone, Copy)]
struct GlobalAvgPool {
    n: usize,
    pixels: usize,
}

impl Op for GlobalAvgPool {
    fn name(&self) -> &'static str {
        "global_avg_pool"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        (outputs[0].elements() * self.pixels) as u64
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.global_avg_pool(self.n, self.pixels, io.inputs[0], io.outputs[0]);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None]) };
        let x = graph.shape(node.inputs[0]);
        let [dx] = graph.push(GlobalAvgPoolBackward(*self), &[dy], [x]);
        Ok(vec![Some(dx)])
    }
}

struct GlobalAvgPoolBackward(GlobalAvgPool);

impl Op for GlobalAvgPoolBackward {
    fn name(&self) -> &'static str {
        "global_avg_pool_backward"
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let GlobalAvgPool { n, pixels } = self.0;
        backend.global_avg_pool_backward(n, pixels, io.inputs[0], io.outputs[0]);
    }
}

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
        let y = self.temp(pool.y_shape(), DType::F32);
        let argmax = self.temp(pool.y_shape(), DType::U32);
        self.push_node(MaxPool(pool), &[x], vec![y, argmax]);
        Ok(y)
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
        let [y] = self.push(AvgPool(pool), &[x], [pool.y_shape()]);
        Ok(y)
    }

    /// Mean over the pixels of each image: `[N,H,W,C]` to `[N,C]`.
    ///
    /// # Errors
    /// If x has not four sizes.
    pub fn global_avg_pool(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x);
        let &[n, h, w, c] = &shape[..] else {
            let detail = format!("input {shape} is not [N,H,W,C]");
            return Err(Error::shape("global_avg_pool", detail));
        };
        let pool = GlobalAvgPool { n, pixels: h * w };
        let [y] = self.push(pool, &[x], [Shape::from([n, c])]);
        Ok(y)
    }
}
