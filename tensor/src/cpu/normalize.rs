//! Rows divided by their length: `y = x / n`, `n = max(|x|, eps)`.
//!
//! `dx = (dy - y <y, dy>) / n`; where |x| < eps, n is a constant and `dx = dy / eps`. With eps = 0
//! this is weight norm of gain 1, and a row of zeros gives NaN, as in PyTorch.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::chunks::rows_per_chunk;
use super::reduce::dot;

/// Forward; `norm` keeps n of each row.
#[multiversion(isa)]
pub fn l2_normalize(
    isa: Isa,
    columns: usize,
    eps: f32,
    x: &[f32],
    y: &mut [f32],
    norm: &mut [f32],
) {
    let rows = rows_per_chunk(columns);
    y.par_chunks_mut(rows * columns)
        .zip(x.par_chunks(rows * columns))
        .zip(norm.par_chunks_mut(rows))
        .for_each(|((y, x), norm)| {
            let rows = y.chunks_exact_mut(columns).zip(x.chunks_exact(columns));
            for ((y, x), norm) in rows.zip(norm) {
                let length = dot(x, x).sqrt();
                *norm = if length < eps { eps } else { length };
                for (y, x) in y.iter_mut().zip(x) {
                    *y = x / *norm;
                }
            }
        });
}

/// Backward. A row shorter than eps is recognised by `norm` being eps and |y| below 1.
#[multiversion(isa)]
pub fn l2_normalize_backward(
    isa: Isa,
    columns: usize,
    eps: f32,
    y: &[f32],
    norm: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let rows = rows_per_chunk(columns);
    dx.par_chunks_mut(rows * columns)
        .zip(y.par_chunks(rows * columns))
        .zip(dy.par_chunks(rows * columns))
        .zip(norm.par_chunks(rows))
        .for_each(|(((dx, y), dy), norm)| {
            let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns)).zip(norm);
            for (dx, ((y, dy), &norm)) in dx.chunks_exact_mut(columns).zip(rows) {
                let is_short = norm == eps && dot(y, y) < 0.999;
                let along = if is_short { 0.0 } else { dot(y, dy) };
                for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
                    *dx = (dy - y * along) / norm;
                }
            }
        });
}
