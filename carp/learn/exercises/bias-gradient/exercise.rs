//! Broadcasting: what is copied forward is summed backward
//!
//!     y[r,c] = x[r,c] + bias[c]        dbias[c] = sum over r of dy[r,c]
//!
//! One bias `[C]` is added to every row of x `[R,C]`. It is read R times, so it gets R
//! contributions, one from each row, and they add up: the rule of the last exercises again. The
//! other way round it holds, too: the gradient of a sum is a copy to all its terms.
//!
//! If a gradient has the wrong shape, a broadcast was forgotten.

/// The gradient of the bias `[columns]`, given dy `[rows,columns]`.
pub fn bias_gradient(columns: usize, dy: &[f64]) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("one number for each column")
    // YOUR CODE ENDS
}
