//! Elementwise kernels, in chunks of fixed size.
//!
//! The functions of one number and their derivatives are described at [`Unary`].

use rayon::prelude::*;

use crate::kernel::Unary;
use crate::math::{self, normal_cdf, normal_density};
use crate::order::CHUNK;

fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f(x);
        }
    });
}

fn map2(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    y.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK)).for_each(
        |((y, a), b)| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = f(a, b);
            }
        },
    );
}

fn update(x: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f(x, *y);
        }
    });
}

/// y = x.
pub fn copy(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x);
}

/// y = a + b.
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    map2(a, b, y, |a, b| a + b);
}

/// y = y + b.
pub fn add_assign(b: &[f32], y: &mut [f32]) {
    update(b, y, |b, y| y + b);
}

/// y = a b.
pub fn mul(a: &[f32], b: &[f32], y: &mut [f32]) {
    map2(a, b, y, |a, b| a * b);
}

/// y = x clamped to [low, high]; NaN propagates.
pub fn clamp(low: f32, high: f32, x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x.clamp(low, high));
}

/// dx = dy where low <= x <= high, else 0.
pub fn clamp_backward(low: f32, high: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| if low <= x && x <= high { dy } else { 0.0 });
}

/// y = alpha x.
pub fn scale(alpha: f32, x: &[f32], y: &mut [f32]) {
    map(x, y, |x| alpha * x);
}

/// y = alpha y: no work if alpha is 1, as a gradient's seed often is.
pub fn scale_assign(alpha: f32, y: &mut [f32]) {
    if alpha == 1.0 {
        return;
    }
    y.par_chunks_mut(CHUNK).for_each(|y| y.iter_mut().for_each(|y| *y *= alpha));
}

/// acc = x + keep acc; just x if `keep` is 0, whatever acc holds.
pub fn accumulate(keep: f32, x: &[f32], acc: &mut [f32]) {
    if keep == 0.0 {
        copy(x, acc);
    } else {
        update(x, acc, |x, acc| keep.mul_add(acc, x));
    }
}

/// About a chunk of whole rows of `columns`, in elements.
fn rows_chunk(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1) * columns.max(1)
}

/// Calls `f(row of x, y)` for every row of `columns` elements.
fn each_row(columns: usize, x: &[f32], y: &mut [f32], f: impl Fn(&[f32], &mut [f32]) + Sync) {
    let chunk = rows_chunk(columns);
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| {
        y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).for_each(|(y, x)| f(x, y));
    });
}

/// `y[r,c]` = `x[r,c]` + `bias[c]`.
pub fn add_bias(x: &[f32], bias: &[f32], y: &mut [f32]) {
    each_row(bias.len(), x, y, |x, y| {
        for ((y, x), bias) in y.iter_mut().zip(x).zip(bias) {
            *y = x + bias;
        }
    });
}

/// `y[r,c]` = `y[r,c]` + `bias[c]`.
pub fn add_bias_assign(bias: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(rows_chunk(bias.len())).for_each(|y| {
        for y in y.chunks_exact_mut(bias.len()) {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    });
}

/// `y[r,c]` = `max(y[r,c] + bias[c] + residual[r,c], 0)`, and NaN where that is.
pub fn bias_relu_assign(bias: &[f32], residual: Option<&[f32]>, y: &mut [f32]) {
    let relu = |y: f32| if y < 0.0 { 0.0 } else { y };
    let (columns, chunk) = (bias.len(), rows_chunk(bias.len()));
    y.par_chunks_mut(chunk).enumerate().for_each(|(i, y)| {
        let rows = y.chunks_exact_mut(columns);
        match residual {
            None => rows.for_each(|y| {
                y.iter_mut().zip(bias).for_each(|(y, bias)| *y = relu(*y + bias));
            }),
            Some(residual) => {
                for (y, added) in rows.zip(residual[i * chunk..].chunks_exact(columns)) {
                    for ((y, bias), added) in y.iter_mut().zip(bias).zip(added) {
                        *y = relu(*y + bias + added);
                    }
                }
            }
        }
    });
}

/// The same of x; it costs a copy, which layers do without.
pub fn bias_relu(x: &[f32], bias: &[f32], residual: Option<&[f32]>, y: &mut [f32]) {
    copy(x, y);
    bias_relu_assign(bias, residual, y);
}

/// `y[r,c]` = `gelu(x[r,c] + bias[c])`.
pub fn bias_gelu(x: &[f32], bias: &[f32], y: &mut [f32]) {
    each_row(bias.len(), x, y, |x, y| {
        for ((y, x), bias) in y.iter_mut().zip(x).zip(bias) {
            *y = gelu_of(x + bias);
        }
    });
}

/// `dx[r,c]` = `dy[r,c] gelu'(x[r,c] + bias[c])`.
pub fn bias_gelu_backward(x: &[f32], bias: &[f32], dy: &[f32], dx: &mut [f32]) {
    let chunk = rows_chunk(bias.len());
    dx.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).zip(dy.par_chunks(chunk)).for_each(
        |((dx, x), dy)| {
            let rows = x.chunks_exact(bias.len()).zip(dy.chunks_exact(bias.len()));
            for (dx, (x, dy)) in dx.chunks_exact_mut(bias.len()).zip(rows) {
                for ((dx, dy), (x, bias)) in dx.iter_mut().zip(dy).zip(x.iter().zip(bias)) {
                    *dx = dy * gelu_slope(x + bias);
                }
            }
        },
    );
}

/// y = f(x).
pub fn unary(function: Unary, x: &[f32], y: &mut [f32]) {
    match function {
        Unary::Ln => map(x, y, math::ln),
        // NaN if x is: a fault upstream must stay visible.
        Unary::Relu => map(x, y, |x| if x < 0.0 { 0.0 } else { x }),
        Unary::Gelu => map(x, y, gelu_of),
        Unary::Silu => map(x, y, |x| x * sigmoid(x)),
    }
}

/// dx = dy f'(x), by x or by y = f(x).
pub fn unary_backward(function: Unary, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
    match function {
        Unary::Ln => map2(saved, dy, dx, |x, dy| dy / x),
        Unary::Relu => map2(saved, dy, dx, |y, dy| if y > 0.0 { dy } else { 0.0 }),
        Unary::Gelu => map2(saved, dy, dx, |x, dy| dy * gelu_slope(x)),
        Unary::Silu => map2(saved, dy, dx, |x, dy| {
            let s = sigmoid(x);
            dy * (s * x.mul_add(1.0 - s, 1.0))
        }),
    }
}

// Inlined, or the loops around them are not vector code.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + math::exp(-x))
}

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    x * normal_cdf(x)
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    x.mul_add(normal_density(x), normal_cdf(x))
}
