//! Elementwise kernels, in chunks of fixed size.
//!
//! The functions of one number and their derivatives are described at [`Unary`].

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::chunks::{chunk_of_rows, each_chunk, each_chunk2};
use crate::kernel::Unary;
use crate::math::{self, normal_cdf, normal_density};
use crate::order::CHUNK;

#[inline(always)]
fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

#[inline(always)]
fn map2(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
        *y = f(a, b);
    }
}

#[inline(always)]
fn update(x: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x, *y);
    }
}

/// y = value.
pub fn fill(value: f32, y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).for_each(|y| y.fill(value));
}

/// y = x.
pub fn copy(x: &[f32], y: &mut [f32]) {
    each_chunk(CHUNK, x, y, |x, y| y.copy_from_slice(x));
}

/// y = a + b.
#[multiversion(isa)]
pub fn add(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) {
    each_chunk2(CHUNK, (a, b), y, |a, b, y| map2(a, b, y, |a, b| a + b));
}

/// y = y + b.
#[multiversion(isa)]
pub fn add_assign(isa: Isa, b: &[f32], y: &mut [f32]) {
    each_chunk(CHUNK, b, y, |b, y| update(b, y, |b, y| y + b));
}

/// y = a b.
#[multiversion(isa)]
pub fn mul(isa: Isa, a: &[f32], b: &[f32], y: &mut [f32]) {
    each_chunk2(CHUNK, (a, b), y, |a, b, y| map2(a, b, y, |a, b| a * b));
}

/// y = x clamped to [low, high]; NaN propagates.
#[multiversion(isa)]
pub fn clamp(isa: Isa, low: f32, high: f32, x: &[f32], y: &mut [f32]) {
    each_chunk(CHUNK, x, y, |x, y| map(x, y, |x| x.clamp(low, high)));
}

/// dx = dy where low <= x <= high, else 0.
#[multiversion(isa)]
pub fn clamp_backward(isa: Isa, low: f32, high: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_chunk2(CHUNK, (x, dy), dx, |x, dy, dx| {
        map2(x, dy, dx, |x, dy| if low <= x && x <= high { dy } else { 0.0 });
    });
}

/// y = alpha x.
#[multiversion(isa)]
pub fn scale(isa: Isa, alpha: f32, x: &[f32], y: &mut [f32]) {
    each_chunk(CHUNK, x, y, |x, y| map(x, y, |x| alpha * x));
}

/// y = alpha y: no work if alpha is 1, as a gradient's seed often is.
#[multiversion(isa)]
pub fn scale_assign(isa: Isa, alpha: f32, y: &mut [f32]) {
    if alpha == 1.0 {
        return;
    }
    y.par_chunks_mut(CHUNK).for_each(|y| y.iter_mut().for_each(|y| *y *= alpha));
}

/// acc = x + keep acc; just x if `keep` is 0, whatever acc holds.
#[multiversion(isa)]
pub fn accumulate(isa: Isa, keep: f32, x: &[f32], acc: &mut [f32]) {
    if keep == 0.0 {
        copy(x, acc);
    } else {
        each_chunk(CHUNK, x, acc, |x, acc| update(x, acc, |x, acc| keep.mul_add(acc, x)));
    }
}

/// `y[r,c]` = `x[r,c]` + `bias[c]`.
#[multiversion(isa)]
pub fn add_bias(isa: Isa, x: &[f32], bias: &[f32], y: &mut [f32]) {
    let columns = bias.len();
    each_chunk(chunk_of_rows(columns), x, y, |x, y| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            map2(x, bias, y, |x, bias| x + bias);
        }
    });
}

/// `y[r,c]` = `y[r,c]` + `bias[c]`.
#[multiversion(isa)]
pub fn add_bias_assign(isa: Isa, bias: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(chunk_of_rows(bias.len())).for_each(|y| {
        for y in y.chunks_exact_mut(bias.len()) {
            update(bias, y, |bias, y| y + bias);
        }
    });
}

/// `y[r,c]` = `max(y[r,c] + bias[c] + residual[r,c], 0)`, and NaN where that is.
#[multiversion(isa)]
pub fn bias_relu_assign(isa: Isa, bias: &[f32], residual: Option<&[f32]>, y: &mut [f32]) {
    let relu = |y: f32| if y < 0.0 { 0.0 } else { y };
    let (columns, chunk) = (bias.len(), chunk_of_rows(bias.len()));
    y.par_chunks_mut(chunk).enumerate().for_each(|(i, y)| {
        let rows = y.chunks_exact_mut(columns);
        match residual {
            None => {
                for y in rows {
                    update(bias, y, |bias, y| relu(y + bias));
                }
            }
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
pub fn bias_relu(isa: Isa, x: &[f32], bias: &[f32], residual: Option<&[f32]>, y: &mut [f32]) {
    copy(x, y);
    bias_relu_assign(isa, bias, residual, y);
}

/// `y[r,c]` = `gelu(x[r,c] + bias[c])`.
#[multiversion(isa)]
pub fn bias_gelu(isa: Isa, x: &[f32], bias: &[f32], y: &mut [f32]) {
    let columns = bias.len();
    each_chunk(chunk_of_rows(columns), x, y, |x, y| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            map2(x, bias, y, |x, bias| gelu_of(x + bias));
        }
    });
}

/// `dx[r,c]` = `dy[r,c] gelu'(x[r,c] + bias[c])`.
#[multiversion(isa)]
pub fn bias_gelu_backward(isa: Isa, x: &[f32], bias: &[f32], dy: &[f32], dx: &mut [f32]) {
    let columns = bias.len();
    each_chunk2(chunk_of_rows(columns), (x, dy), dx, |x, dy, dx| {
        let rows = x.chunks_exact(columns).zip(dy.chunks_exact(columns));
        for (dx, (x, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
            for ((dx, dy), (x, bias)) in dx.iter_mut().zip(dy).zip(x.iter().zip(bias)) {
                *dx = dy * gelu_slope(x + bias);
            }
        }
    });
}

/// y = f(x).
#[allow(clippy::redundant_closure, reason = "closures belong to a version, functions do not")]
#[multiversion(isa)]
pub fn unary(isa: Isa, function: Unary, x: &[f32], y: &mut [f32]) {
    each_chunk(CHUNK, x, y, |x, y| match function {
        Unary::Ln => map(x, y, |x| math::ln(x)),
        // NaN if x is: a fault upstream must stay visible.
        Unary::Relu => map(x, y, |x| if x < 0.0 { 0.0 } else { x }),
        Unary::Gelu => map(x, y, |x| gelu_of(x)),
        Unary::Silu => map(x, y, |x| x * sigmoid(x)),
        Unary::Sqrt => map(x, y, |x| x.sqrt()),
    });
}

/// dx = dy f'(x), by x or by y = f(x).
#[multiversion(isa)]
pub fn unary_backward(isa: Isa, function: Unary, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_chunk2(CHUNK, (saved, dy), dx, |saved, dy, dx| match function {
        Unary::Ln => map2(saved, dy, dx, |x, dy| dy / x),
        Unary::Relu => map2(saved, dy, dx, |y, dy| if y > 0.0 { dy } else { 0.0 }),
        Unary::Gelu => map2(saved, dy, dx, |x, dy| dy * gelu_slope(x)),
        Unary::Silu => map2(saved, dy, dx, |x, dy| {
            let s = sigmoid(x);
            dy * (s * x.mul_add(1.0 - s, 1.0))
        }),
        Unary::Sqrt => map2(saved, dy, dx, |y, dy| dy / (2.0 * y)),
    });
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
