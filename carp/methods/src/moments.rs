//! Moments of a batch of embeddings, for the methods that decorrelate their dimensions.
//!
//! The matrix of all correlations, `X'Y` `[D,D]`, is large where D is; its sum of squares does not need
//! it:
//!
//! ```text
//! sum_ij (X'Y)_ij^2 = tr(X'Y Y'X) = sum_nm (XX')_nm (YY')_nm
//! ```
//!
//! so matrices `[B,B]` suffice. Their gradient, `2 YY'X`, does not need it either.

use autograd::{BatchNormParams, Graph, Result, Value};

use crate::unit::row_products;

/// X `[B,D]` less the mean of its columns.
///
/// # Errors
/// If X is a scalar.
pub fn centre(g: &mut Graph, x: Value) -> Result<Value> {
    let rows = g.shape(x).rows();
    let sum = g.sum_rows(x);
    let minus_mean = g.scale(sum, -1.0 / rows as f32);
    g.add_bias(x, minus_mean)
}

/// X `[B,D]` with columns of mean 0 and (biased) variance 1: batch norm without scale and shift.
///
/// # Errors
/// Fewer than two rows.
pub fn standardize(g: &mut Graph, x: Value, eps: f32) -> Result<Value> {
    let columns = [g.shape(x).columns()];
    let params = BatchNormParams {
        weight: g.fill(columns, 1.0),
        bias: g.fill(columns, 0.0),
        running_mean: g.state("running_mean", columns),
        running_var: g.state("running_var", columns),
    };
    g.batch_norm(x, params, true, eps, 0.1)
}

/// `sum_b x[b,j] y[b,j]` of each column: `[D]`, the diagonal of `X'Y`.
///
/// # Errors
/// If the shapes differ.
pub fn column_products(g: &mut Graph, x: Value, y: Value) -> Result<Value> {
    let products = g.mul(x, y)?;
    Ok(g.sum_rows(products))
}

/// The lengths of the columns of X `[B,D]`, none of them zero: `[D]`.
///
/// # Errors
/// If X is not a matrix.
pub fn column_lengths(g: &mut Graph, x: Value) -> Result<Value> {
    let columns = g.transpose(x)?;
    let directions = g.l2_normalize(columns, 0.0);
    row_products(g, columns, directions)
}

/// `sum_ij (X'Y)_ij^2` of X and Y `[B,D]`: `[1]`.
///
/// # Errors
/// If X or Y is not a matrix, or they have different numbers of rows.
pub fn squared_products(g: &mut Graph, x: Value, y: Value) -> Result<Value> {
    let xx = g.matmul(x, false, x, true)?;
    let yy = g.matmul(y, false, y, true)?;
    let products = g.mul(xx, yy)?;
    Ok(g.sum(products))
}

/// The sum of the squares of all elements of x: `[1]`.
pub fn squares(g: &mut Graph, x: Value) -> Value {
    let squares = g.mul(x, x).expect("x has its own shape");
    g.sum(squares)
}
