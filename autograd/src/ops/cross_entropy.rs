//! Cross-entropy of rows of logits with one class each.
//!
//! x `[R,C]`, class c_r of row r, `l = log_softmax(x)`: `y[r] = -l[r, c_r]`; `dx[r,c] = dy[r]
//! (exp(l[r,c]) - 1[c = c_r])`. Classes are given as positions in the row-major logits, `index[r] =
//! r C + c_r`, so log-softmax, gather and scale suffice. `ln sum_c exp(x[r,c]) = x[r,0] - l[r,0]`.

use tensor::{Error, Kernel, Result};

use crate::graph::{DType, Graph, Value};

impl Graph {
    /// The cross-entropy of each row of logits x `[R,C]`, in nats: `[R]`. `index` `[R]` comes from
    /// [`cross_entropy_index`].
    ///
    /// # Errors
    /// If x is not a matrix, or there is not one index per row.
    pub fn cross_entropy(&mut self, x: Value, index: Value) -> Result<Value> {
        let (sx, si) = (self.shape(x), self.shape(index));
        if sx.len() != 2 || si[..] != sx[..1] || self.info(index).dtype != DType::U32 {
            let detail = format!("logits {sx} with index {si}: should be [R,C] and [R] of u32");
            return Err(Error::shape("cross_entropy", detail));
        }
        let log_probabilities = self.log_softmax(x);
        let picked = self.pick(log_probabilities, index);
        Ok(self.scale(picked, -1.0))
    }

    /// The logarithm of the sum of the exponentials of each row of x `[R,C]`: `[R]`.
    ///
    /// # Errors
    /// If x is not a matrix.
    pub fn log_sum_exp(&mut self, x: Value) -> Result<Value> {
        let rows = self.shape(x).rows();
        let first = cross_entropy_index(self.shape(x).columns(), vec![0; rows]);
        let first = self.constant_u32("first", first);
        let below = self.cross_entropy(x, first)?;
        let first = self.pick(x, first);
        self.add(first, below)
    }

    /// The elements of x at `index` `[R]`: `[R]`.
    fn pick(&mut self, x: Value, index: Value) -> Value {
        self.apply(Kernel::GatherRows { columns: 1 }, &[x, index], self.shape(index))
    }
}

/// The index of [`Graph::cross_entropy`] for rows with these classes: `index[r] = r C + class[r]`.
///
/// # Panics
/// If a class is not below `classes`.
pub fn cross_entropy_index(classes: usize, labels: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let place = |(row, class): (usize, u32)| {
        assert!((class as usize) < classes, "class {class} of row {row} should be below {classes}");
        (row * classes) as u32 + class
    };
    labels.into_iter().enumerate().map(place).collect()
}
