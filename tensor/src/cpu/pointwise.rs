//! Elementwise kernels, in chunks of fixed size.
//!
//! ReLU: `y = max(x, 0)`, `dx = dy where y > 0`. GELU, exact: `y = x Phi(x)`,
//! `dx = dy (Phi(x) + x phi(x))` with the normal distribution Phi and density phi.

use rayon::prelude::*;

use super::reduce::CHUNK;
use crate::math::{self, normal_cdf, normal_density};

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

/// y = x clamped to [low, high]; NaN comes through.
pub fn clamp(low: f32, high: f32, x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x.clamp(low, high));
}

/// dx = dy where low <= x <= high, else 0.
pub fn clamp_backward(low: f32, high: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| if low <= x && x <= high { dy } else { 0.0 });
}

/// y = ln x.
pub fn ln(x: &[f32], y: &mut [f32]) {
    map(x, y, math::ln);
}

/// dx = dy / x.
pub fn ln_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| dy / x);
}

/// y = alpha x.
pub fn scale(alpha: f32, x: &[f32], y: &mut [f32]) {
    map(x, y, |x| alpha * x);
}

/// y = alpha y.
pub fn scale_assign(alpha: f32, y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).for_each(|y| y.iter_mut().for_each(|y| *y *= alpha));
}

/// acc = x + keep acc; just x where `keep` is 0, whatever acc holds.
pub fn accumulate(keep: f32, x: &[f32], acc: &mut [f32]) {
    if keep == 0.0 {
        copy(x, acc);
    } else {
        update(x, acc, |x, acc| keep.mul_add(acc, x));
    }
}

/// Rows of `columns` that make about a chunk, in elements.
fn rows_chunk(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1) * columns.max(1)
}

/// `y[r,c]` = `x[r,c]` + `bias[c]`.
pub fn add_bias(x: &[f32], bias: &[f32], y: &mut [f32]) {
    let (columns, chunk) = (bias.len(), rows_chunk(bias.len()));
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            for ((y, x), bias) in y.iter_mut().zip(x).zip(bias) {
                *y = x + bias;
            }
        }
    });
}

/// `y[r,c]` = `y[r,c]` + `bias[c]`.
pub fn add_bias_assign(bias: &[f32], y: &mut [f32]) {
    let (columns, chunk) = (bias.len(), rows_chunk(bias.len()));
    y.par_chunks_mut(chunk).for_each(|y| {
        for y in y.chunks_exact_mut(columns) {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    });
}

/// max(x, 0), and NaN where x is: a fault upstream must stay visible.
pub fn relu(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| if x < 0.0 { 0.0 } else { x });
}

/// dx = dy where y > 0, else 0.
pub fn relu_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(y, dy, dx, |y, dy| if y > 0.0 { dy } else { 0.0 });
}

/// y = x Phi(x).
pub fn gelu(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x * normal_cdf(x));
}

/// dx = dy (Phi(x) + x phi(x)).
pub fn gelu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| dy * x.mul_add(normal_density(x), normal_cdf(x)));
}
