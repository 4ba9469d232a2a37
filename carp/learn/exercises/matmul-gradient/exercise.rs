//! The gradient of a matrix product: two more products
//!
//!     c = a b        da = dc b^T        db = a^T dc
//!
//! a is `[m,k]`, b `[k,n]`, c and dc `[m,n]`. Where do the formulas come from? c[i,j] holds
//! a[i,l] * b[l,j], so a[i,l] moves c[i,j] by b[l,j], for every j:
//!
//!     da[i,l] = sum over j of dc[i,j] * b[l,j]
//!
//! and that is row i of dc times row l of b. If you forget which one is transposed, the shapes tell:
//! `[m,n]` and `[k,n]` give an `[m,k]` in one way only. A step's backward pass takes about twice the
//! time of its forward pass, because each product has two of these.

/// The gradients (da `[m,k]`, db `[k,n]`) of c = a b, given dc `[m,n]`.
pub fn matmul_gradient(
    [m, n, k]: [usize; 3],
    a: &[f64],
    b: &[f64],
    dc: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut da, mut db) = (vec![0.0; m * k], vec![0.0; k * n]);
    // YOUR CODE BEGINS
    todo!("fill da and db");
    // YOUR CODE ENDS
    (da, db)
}
