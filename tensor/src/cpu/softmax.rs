//! Softmax and log-softmax of rows.
//!
//! `y = exp(x - max) / sum of exp(x - max)`, `dx = y (dy - <dy, y>)`; for l = log y:
//! `l = x - max - ln(sum)`, `dx = dy - exp(l) sum(dy)`.
//!
//! A NaN in x makes its exponential and thus the sum NaN, and with it the whole row.

use isa::{Isa, multiversion};

use super::chunks::{chunk_of_rows, each_chunk, each_chunk2};
use super::reduce::{dot, row_max, row_sum};
use crate::math::{exp, ln};

/// Softmax of one row.
#[inline(always)]
pub fn softmax_row(x: &[f32], y: &mut [f32]) {
    let max = row_max(x);
    for (y, x) in y.iter_mut().zip(x) {
        *y = exp(x - max);
    }
    let scale = 1.0 / row_sum(y);
    y.iter_mut().for_each(|y| *y *= scale);
}

/// Softmax of one row, in place.
#[inline(always)]
pub fn softmax_in_place(row: &mut [f32]) {
    let max = row_max(row);
    for x in &mut *row {
        *x = exp(*x - max);
    }
    let scale = 1.0 / row_sum(row);
    row.iter_mut().for_each(|y| *y *= scale);
}

/// Softmax of each row.
#[multiversion(isa)]
pub fn softmax(isa: Isa, columns: usize, x: &[f32], y: &mut [f32]) {
    each_chunk(chunk_of_rows(columns), x, y, |x, y| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            softmax_row(x, y);
        }
    });
}

/// dx = y (dy - <dy, y>).
#[multiversion(isa)]
pub fn softmax_backward(isa: Isa, columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_chunk2(chunk_of_rows(columns), (y, dy), dx, |y, dy, dx| {
        let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
        for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
            let mean = dot(dy, y);
            for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - mean);
            }
        }
    });
}

/// Log-softmax of each row.
#[multiversion(isa)]
pub fn log_softmax(isa: Isa, columns: usize, x: &[f32], y: &mut [f32]) {
    each_chunk(chunk_of_rows(columns), x, y, |x, y| {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            let max = row_max(x);
            for (y, x) in y.iter_mut().zip(x) {
                *y = exp(x - max);
            }
            let log_sum = ln(row_sum(y));
            for (y, x) in y.iter_mut().zip(x) {
                *y = (x - max) - log_sum;
            }
        }
    });
}

/// dx = dy - exp(y) sum(dy).
#[multiversion(isa)]
pub fn log_softmax_backward(isa: Isa, columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_chunk2(chunk_of_rows(columns), (y, dy), dx, |y, dy, dx| {
        let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
        for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
            let sum = row_sum(dy);
            for ((dx, &y), dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = dy - exp(y) * sum;
            }
        }
    });
}
