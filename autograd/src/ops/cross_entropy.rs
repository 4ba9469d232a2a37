//! Cross-entropy of rows of logits with one class each.
//!
//! x `[R,C]`, class c_r of row r, `l = log_softmax(x)`: `y[r] = -l[r, c_r]`;
//! `dx[r,c] = dy[r] (exp(l[r,c]) - 1[c = c_r])`. The classes come as places in the row-major logits,
//! `index[r] = r C + c_r`, so that log-softmax, gather and scatter are all the kernels it takes.

use tensor::{Backend, Error, Result, Shape};

use crate::graph::{DType, Graph, Io, Node, Op, Value};

#[derive(Clone, Copy)]
struct CrossEntropy {
    rows: usize,
    classes: usize,
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        5 * (self.rows * self.classes) as u64
    }

    fn workspace(&self, _backend: &dyn Backend) -> usize {
        self.rows
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let (x, index) = (io.inputs[0], io.inputs[1]);
        let (y, log_probabilities) = (io.outputs[0], io.outputs[1]);
        backend.log_softmax(self.classes, x, log_probabilities);
        backend.gather_rows(1, log_probabilities, index, io.workspace);
        backend.scale(-1.0, io.workspace, y);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let (x, index, log_probabilities) = (node.inputs[0], node.inputs[1], node.outputs[1]);
        let dx = grads[0].map(|dy| {
            let inputs = [log_probabilities, index, dy];
            let [dx] = graph.push(CrossEntropyBackward(*self), &inputs, [graph.shape(x)]);
            dx
        });
        Ok(vec![dx, None])
    }
}

struct CrossEntropyBackward(CrossEntropy);

impl Op for CrossEntropyBackward {
    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        4 * (self.0.rows * self.0.classes) as u64
    }

    /// -dy, and the gradient by the log-probabilities: -dy at each row's class, 0 elsewhere.
    fn workspace(&self, _backend: &dyn Backend) -> usize {
        self.0.rows + self.0.rows * self.0.classes
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let CrossEntropy { rows, classes } = self.0;
        let (log_probabilities, index, dy) = (io.inputs[0], io.inputs[1], io.inputs[2]);
        let minus_dy = io.workspace.part(0, rows);
        let dl = io.workspace.part(rows, rows * classes);
        backend.scale(-1.0, dy, minus_dy);
        backend.scatter_add_rows(1, minus_dy, index, dl);
        backend.log_softmax_backward(classes, log_probabilities, dl, io.outputs[0]);
    }
}

impl Graph {
    /// The cross-entropy of each row of logits x `[R,C]`, in nats: `[R]`. `index` `[R]` holds each
    /// row's class as [`cross_entropy_index`] gives it.
    ///
    /// # Errors
    /// If x is no matrix, or the index is not as many indices as x has rows.
    pub fn cross_entropy(&mut self, x: Value, index: Value) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        if sx.len() != 2 || si[..] != sx[..1] || self.info(index).dtype != DType::U32 {
            let detail = format!("logits {sx} with index {si}: wants [R,C] and [R] of u32");
            return Err(Error::shape("cross_entropy", detail));
        }
        let op = CrossEntropy { rows: sx[0], classes: sx[1] };
        let [y, _] = self.push(op, &[x, index], [Shape::from([sx[0]]), sx]);
        Ok(y)
    }
}

/// The index of [`Graph::cross_entropy`] for rows of these classes: `index[r] = r C + class[r]`.
///
/// # Panics
/// If a class is not below `classes`.
pub fn cross_entropy_index(classes: usize, labels: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let place = |(row, class): (usize, u32)| {
        assert!((class as usize) < classes, "class {class} of row {row} is none of {classes}");
        (row * classes) as u32 + class
    };
    labels.into_iter().enumerate().map(place).collect()
}
