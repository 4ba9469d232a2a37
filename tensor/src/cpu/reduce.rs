//! Reductions in fixed trees: the order of additions depends only on the length.

use std::ops::Range;

use rayon::prelude::*;

/// Elements per task.
pub const CHUNK: usize = 16 * 1024;
/// Parallel accumulators, so that the loop vectorises.
const LANES: usize = 16;

/// Sums `part` over all chunks of `0..len`, halving the range recursively at multiples of a chunk;
/// the halves run in parallel.
pub fn tree(range: Range<usize>, part: &(impl Fn(Range<usize>) -> f64 + Sync)) -> f64 {
    let chunks = range.len().div_ceil(CHUNK);
    if chunks <= 1 {
        return part(range);
    }
    let middle = range.start + chunks / 2 * CHUNK;
    let (a, b) = rayon::join(|| tree(range.start..middle, part), || tree(middle..range.end, part));
    a + b
}

/// Sum of a chunk of `f(x)`, in f32 lanes of at most 1024 numbers that are added in f64.
fn chunk_sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let lanes = x.chunks(64 * LANES).map(|x| {
        let mut lanes = [0.0f32; LANES];
        let rows = x.chunks_exact(LANES);
        let rest = rows.remainder();
        for row in rows {
            for (lane, &x) in lanes.iter_mut().zip(row) {
                *lane += f(x);
            }
        }
        let rest: f64 = rest.iter().map(|&x| f64::from(f(x))).sum();
        rest + lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>()
    });
    lanes.sum()
}

/// The sum of all elements.
pub fn sum(x: &[f32]) -> f64 {
    tree(0..x.len(), &|range| chunk_sum(&x[range], |x| x))
}

/// The sum of all squares.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    tree(0..x.len(), &|range| chunk_sum(&x[range], |x| x * x))
}

/// Lanes of a short row: four vectors, to hide the latency of additions.
const ROW_LANES: usize = 32;

/// The sum of the lanes, pairwise.
fn sum_lanes(mut lanes: [f32; ROW_LANES]) -> f32 {
    for half in [16, 8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(half);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
    }
    lanes[0]
}

/// <a, b> of two short rows, in f32 lanes.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; ROW_LANES];
    let (rows_a, rows_b) = (a.chunks_exact(ROW_LANES), b.chunks_exact(ROW_LANES));
    let rest = rows_a.remainder().iter().zip(rows_b.remainder());
    let rest = rest.fold(0.0f32, |sum, (a, b)| a.mul_add(*b, sum));
    for (a, b) in rows_a.zip(rows_b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    rest + sum_lanes(lanes)
}

/// The sum of a short row, in f32 lanes.
pub fn row_sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; ROW_LANES];
    let rows = x.chunks_exact(ROW_LANES);
    let rest: f32 = rows.remainder().iter().sum();
    for row in rows {
        for (lane, x) in lanes.iter_mut().zip(row) {
            *lane += x;
        }
    }
    rest + sum_lanes(lanes)
}

/// The largest element of a row; a NaN counts as smaller than all others.
pub fn row_max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; ROW_LANES];
    let rows = x.chunks_exact(ROW_LANES);
    let rest = rows.remainder().iter().copied().fold(f32::NEG_INFINITY, larger);
    for row in rows {
        for (lane, &x) in lanes.iter_mut().zip(row) {
            *lane = larger(*lane, x);
        }
    }
    lanes.into_iter().fold(rest, larger)
}

/// True if no element is infinite or NaN.
pub fn all_finite(x: &[f32]) -> bool {
    // 0 times anything finite is 0; sums of NaN stay NaN.
    sum_of(x, |x| x * 0.0) == 0.0
}

fn sum_of(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> f64 {
    tree(0..x.len(), &|range| chunk_sum(&x[range], &f))
}

/// Rows per task of [`sum_rows`].
fn rows_per_part(columns: usize) -> usize {
    (CHUNK / columns.max(1)).clamp(16, 1024)
}

/// Elements of scratch memory for [`sum_rows`].
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize {
    rows.div_ceil(rows_per_part(columns)) * columns
}

/// `y[c]` = sum over r of `x[r,c]`: partial sums of groups of rows, added in order.
pub fn sum_rows(x: &[f32], y: &mut [f32], workspace: &mut [f32]) {
    let columns = y.len();
    let rows = rows_per_part(columns);
    workspace.par_chunks_mut(columns).zip(x.par_chunks(rows * columns)).for_each(|(part, x)| {
        part.fill(0.0);
        for row in x.chunks_exact(columns) {
            for (sum, x) in part.iter_mut().zip(row) {
                *sum += x;
            }
        }
    });
    sum_parts(workspace, y);
}

/// Rows in about a chunk.
fn rows_chunk(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1)
}

/// `y[r]` = sum over c of `x[r,c]`.
pub fn sum_columns(columns: usize, x: &[f32], y: &mut [f32]) {
    let rows = rows_chunk(columns);
    y.par_chunks_mut(rows).zip(x.par_chunks(rows * columns)).for_each(|(y, x)| {
        for (y, x) in y.iter_mut().zip(x.chunks_exact(columns)) {
            *y = row_sum(x);
        }
    });
}

/// `dx[r,c]` = `dy[r]`.
pub fn sum_columns_backward(columns: usize, dy: &[f32], dx: &mut [f32]) {
    let rows = rows_chunk(columns);
    dx.par_chunks_mut(rows * columns).zip(dy.par_chunks(rows)).for_each(|(dx, dy)| {
        for (dx, dy) in dx.chunks_exact_mut(columns).zip(dy) {
            dx.fill(*dy);
        }
    });
}

/// y = the sum of all parts, each as long as y, in order.
pub fn sum_parts(parts: &[f32], y: &mut [f32]) {
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
