//! Rows of length 1.

use autograd::{Graph, Value};

/// PyTorch's least length in `normalize`.
const EPS: f32 = 1e-12;

/// l2(x): each row of x divided by its length.
pub fn unit(g: &mut Graph, x: Value) -> Value {
    g.l2_normalize(x, EPS)
}

/// `<a_i, b_i>` of the rows of a and b `[B,D]`: `[B]`.
///
/// # Errors
/// If the shapes differ.
pub fn row_products(g: &mut Graph, a: Value, b: Value) -> autograd::Result<Value> {
    let products = g.mul(a, b)?;
    Ok(g.sum_columns(products))
}
