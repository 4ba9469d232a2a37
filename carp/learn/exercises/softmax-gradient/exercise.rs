//! The gradient of softmax
//!
//!     J[a,c] = y[a] * ([a = c] - y[c])        the derivative of y[a] with respect to x[c]
//!     dx[c]  = sum over a of dy[a] * J[a,c]
//!            = y[c] * (dy[c] - sum over a of dy[a] * y[a])
//!
//! Every y depends on every x, since they share their sum: to raise one probability is to lower all
//! others. J is the matrix of all derivatives; [a = c] is 1 on its diagonal, else 0. The last line
//! never builds it: one inner product, then one multiplication each.
//!
//! All dx sum to 0, and a constant added to dy changes nothing: think why. Only y is needed, not x.

/// dx of a row, given its softmax y and dy.
pub fn softmax_gradient(y: &[f64], dy: &[f64]) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("an inner product, then a product for each element")
    // YOUR CODE ENDS
}
