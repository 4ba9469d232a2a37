//! Matrix product: the work horse, as three loops
//!
//!     c[i,j] = sum over l of a[i,l] * b[l,j]        a [m,k], b [k,n], c [m,n]
//!
//! Row i of a meets column j of b. In memory a's row is contiguous, b's column is not: its numbers
//! are n apart. A linear layer is this product, a convolution nearly so (the next exercise), and so
//! are their gradients: most of a training step's time goes here. It takes m*n*k multiplications
//! and as many additions.
//!
//! tensor/src/reference has this form, tensor/src/cpu a much faster one; you will write one for the
//! GPU later.

/// The product of a `[m,k]` and b `[k,n]`: c `[m,n]`.
pub fn matmul(m: usize, n: usize, k: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    // YOUR CODE BEGINS
    todo!("three loops, over i, j and l");
    // YOUR CODE ENDS
    c
}
