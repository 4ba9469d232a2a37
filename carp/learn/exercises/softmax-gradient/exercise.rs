//! The gradient of softmax
//!
//!     dy[a]/dx[c] = y[a] * ([a = c] - y[c])
//!     dx[c]       = y[c] * (dy[c] - sum over a of dy[a] * y[a])
//!
//! Every y depends on every x, since they share their sum: to raise one probability is to lower all
//! others. The first line is the matrix of all derivatives ([a = c] is 1 on its diagonal); put it
//! into sum over a of dy[a] * dy[a]/dx[c], and the second line comes out. It never builds the matrix:
//! one inner product, then one multiplication each.
//!
//! All dx sum to 0, and a constant added to dy changes nothing: think why. Only y is needed, not x.

/// dx of a row, given its softmax y and dy.
pub fn softmax_gradient(y: &[f64], dy: &[f64]) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("an inner product, then a product for each element")
    // YOUR CODE ENDS
}
