//! Reductions, in the order that `order` fixes.

use std::ops::Range;

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::chunks::rows_per_chunk;
use crate::order::{CHUNK, PIECE, PIECE_LANES, ROW_LANES, part_rows};

/// Sums the numbers of `part` over all chunks of `0..len`, halving the range recursively at multiples of
/// a chunk; the halves run in parallel.
pub fn tree<const N: usize>(
    range: Range<usize>,
    part: &(impl Fn(Range<usize>) -> [f64; N] + Sync),
) -> [f64; N] {
    let chunks = range.len().div_ceil(CHUNK);
    if chunks <= 1 {
        return part(range);
    }
    let middle = range.start + chunks / 2 * CHUNK;
    let (a, b) = rayon::join(|| tree(range.start..middle, part), || tree(middle..range.end, part));
    std::array::from_fn(|i| a[i] + b[i])
}

/// Sum of a chunk of `f(x)`.
#[inline(always)]
fn chunk_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut sum = 0.0;
    for x in x.chunks(PIECE) {
        let mut lanes = [0.0f32; PIECE_LANES];
        let (rows, rest) = x.as_chunks::<PIECE_LANES>();
        for row in rows {
            for (lane, &x) in lanes.iter_mut().zip(row) {
                *lane += f(x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f(x);
        }
        sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
    sum
}

/// The sum of all elements.
#[multiversion(isa)]
pub fn sum(isa: Isa, x: &[f32]) -> f64 {
    tree(0..x.len(), &|range| [chunk_sum(&x[range], |x| x)])[0]
}

/// The sum of a chunk's squares.
#[inline(always)]
pub fn chunk_squares(x: &[f32]) -> f64 {
    chunk_sum(x, |x| x * x)
}

/// The sum of all squares.
#[multiversion(isa)]
pub fn sum_of_squares(isa: Isa, x: &[f32]) -> f64 {
    tree(0..x.len(), &|range| [chunk_squares(&x[range])])[0]
}

/// The lanes of a row as one number, pairwise.
#[inline(always)]
fn pairwise(mut lanes: [f32; ROW_LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [16, 8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low = f(*low, *high);
        }
    }
    lanes[0]
}

/// Folds a row from `start` in lanes, four vectors of them to hide the latency, and these pairwise.
#[inline(always)]
fn fold_row(x: &[f32], start: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; ROW_LANES];
    let (rows, rest) = x.as_chunks::<ROW_LANES>();
    for row in rows {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            *lane = f(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = f(*lane, x);
    }
    pairwise(lanes, f)
}

/// <a, b> of two short rows.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; ROW_LANES];
    let (rows_a, rest_a) = a.as_chunks::<ROW_LANES>();
    let (rows_b, rest_b) = b.as_chunks::<ROW_LANES>();
    for (a, b) in rows_a.iter().zip(rows_b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(rest_a).zip(rest_b) {
        *lane = a.mul_add(*b, *lane);
    }
    pairwise(lanes, |a, b| a + b)
}

/// The sum of a short row.
#[inline(always)]
pub fn row_sum(x: &[f32]) -> f32 {
    fold_row(x, 0.0, |a, b| a + b)
}

/// The largest element of a row; a NaN counts as smaller than all others.
#[inline(always)]
pub fn row_max(x: &[f32]) -> f32 {
    fold_row(x, f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// True if no element is infinite or NaN.
#[multiversion(isa)]
pub fn all_finite(isa: Isa, x: &[f32]) -> bool {
    // 0 times anything finite is 0; sums of NaN stay NaN.
    tree(0..x.len(), &|range| [chunk_sum(&x[range], |x| x * 0.0)]) == [0.0]
}

/// True if no element in these ranges, starts and ends, is.
pub fn all_finite_in(isa: Isa, x: &[f32], ranges: &[u32]) -> bool {
    // Anything may lie between the ranges, but mostly it is finite, too.
    all_finite(isa, x)
        || ranges.chunks(2).all(|range| all_finite(isa, &x[range[0] as usize..range[1] as usize]))
}

/// Elements of scratch memory for [`sum_rows`].
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize {
    rows.div_ceil(part_rows(columns)) * columns
}

/// `y[c]` = sum over r of `x[r,c]`: partial sums of groups of rows, added in order.
#[multiversion(isa)]
pub fn sum_rows(isa: Isa, x: &[f32], y: &mut [f32], workspace: &mut [f32]) {
    let columns = y.len();
    let rows = part_rows(columns);
    workspace.par_chunks_mut(columns).zip(x.par_chunks(rows * columns)).for_each(|(part, x)| {
        part.fill(0.0);
        for row in x.chunks_exact(columns) {
            for (sum, x) in part.iter_mut().zip(row) {
                *sum += x;
            }
        }
    });
    sum_parts(isa, workspace, y);
}

/// `y[r]` = sum over c of `x[r,c]`.
#[multiversion(isa)]
pub fn sum_columns(isa: Isa, columns: usize, x: &[f32], y: &mut [f32]) {
    let rows = rows_per_chunk(columns);
    y.par_chunks_mut(rows).zip(x.par_chunks(rows * columns)).for_each(|(y, x)| {
        for (y, x) in y.iter_mut().zip(x.chunks_exact(columns)) {
            *y = row_sum(x);
        }
    });
}

/// `dx[r,c]` = `dy[r]`.
pub fn sum_columns_backward(columns: usize, dy: &[f32], dx: &mut [f32]) {
    let rows = rows_per_chunk(columns);
    dx.par_chunks_mut(rows * columns).zip(dy.par_chunks(rows)).for_each(|(dx, dy)| {
        for (dx, dy) in dx.chunks_exact_mut(columns).zip(dy) {
            dx.fill(*dy);
        }
    });
}

/// y = the sum of all parts, each as long as y, in order.
#[multiversion(isa)]
pub fn sum_parts(isa: Isa, parts: &[f32], y: &mut [f32]) {
    let len = y.len();
    y.par_chunks_mut(CHUNK / 8).enumerate().for_each(|(chunk, y)| {
        let first = chunk * (CHUNK / 8);
        y.fill(0.0);
        for part in parts.chunks_exact(len) {
            for (sum, x) in y.iter_mut().zip(&part[first..]) {
                *sum += x;
            }
        }
    });
}
