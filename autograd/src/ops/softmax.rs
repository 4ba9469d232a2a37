//! Softmax and log-softmax of each row.
//!
//! `y = exp(x - max) / sum exp(x - max)`; `dx = y (dy - <dy, y>)`. For `l = log y`: `dx = dy -
//! exp(l) sum(dy)`. Both gradients need only y.

use tensor::Kernel;

use crate::graph::{Graph, Value};

impl Graph {
    /// Softmax of each row of `[.., C]`.
    pub fn softmax(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        self.apply(Kernel::Softmax { columns: shape.columns() }, &[x], shape)
    }

    /// Logarithm of the softmax of each row of `[.., C]`.
    pub fn log_softmax(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        self.apply(Kernel::LogSoftmax { columns: shape.columns() }, &[x], shape)
    }
}
