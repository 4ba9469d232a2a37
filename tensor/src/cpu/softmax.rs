//! Softmax and log-softmax of rows.
//!
//! `y = exp(x - max) / sum of exp(x - max)`, `dx = y (dy - <dy, y>)`; for l = log y:
//! `l = x - max - ln(sum)`, `dx = dy - exp(l) sum(dy)`.
//!
//! A NaN in x makes its exponential and thus the sum NaN, and with it the whole row.

use rayon::prelude::*;

use super::reduce::{dot, row_max, row_sum};
use crate::math::{exp, ln};
use crate::order::CHUNK;

/// About a chunk of whole rows, in elements.
fn rows_chunk(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1) * columns.max(1)
}

fn each_row(columns: usize, x: &[f32], y: &mut [f32], row: impl Fn(&[f32], &mut [f32]) + Sync) {
    let chunk = rows_chunk(columns);
    y.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(y, x)| {
        y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).for_each(|(y, x)| row(x, y));
    });
}

fn each_row2(
    columns: usize,
    (a, b): (&[f32], &[f32]),
    y: &mut [f32],
    row: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) {
    let chunk = rows_chunk(columns);
    y.par_chunks_mut(chunk).zip(a.par_chunks(chunk)).zip(b.par_chunks(chunk)).for_each(
        |((y, a), b)| {
            let inputs = a.chunks_exact(columns).zip(b.chunks_exact(columns));
            y.chunks_exact_mut(columns).zip(inputs).for_each(|(y, (a, b))| row(a, b, y));
        },
    );
}

/// Softmax of one row.
pub fn softmax_row(x: &[f32], y: &mut [f32]) {
    let max = row_max(x);
    for (y, x) in y.iter_mut().zip(x) {
        *y = exp(x - max);
    }
    let scale = 1.0 / row_sum(y);
    y.iter_mut().for_each(|y| *y *= scale);
}

/// Softmax of one row, in place.
pub fn softmax_in_place(row: &mut [f32]) {
    let max = row_max(row);
    row.iter_mut().for_each(|x| *x = exp(*x - max));
    let scale = 1.0 / row_sum(row);
    row.iter_mut().for_each(|y| *y *= scale);
}

/// Softmax of each row.
pub fn softmax(columns: usize, x: &[f32], y: &mut [f32]) {
    each_row(columns, x, y, softmax_row);
}

/// dx = y (dy - <dy, y>).
pub fn softmax_backward(columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_row2(columns, (y, dy), dx, |y, dy, dx| {
        let mean = dot(dy, y);
        for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = y * (dy - mean);
        }
    });
}

/// Log-softmax of each row.
pub fn log_softmax(columns: usize, x: &[f32], y: &mut [f32]) {
    each_row(columns, x, y, |x, y| {
        let max = row_max(x);
        for (y, x) in y.iter_mut().zip(x) {
            *y = exp(x - max);
        }
        let log_sum = ln(row_sum(y));
        for (y, x) in y.iter_mut().zip(x) {
            *y = (x - max) - log_sum;
        }
    });
}

/// dx = dy - exp(y) sum(dy).
pub fn log_softmax_backward(columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    each_row2(columns, (y, dy), dx, |y, dy, dx| {
        let sum = row_sum(dy);
        for ((dx, &y), dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = dy - exp(y) * sum;
        }
    });
}
