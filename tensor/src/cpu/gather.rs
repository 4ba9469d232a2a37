//! Rows: `y[i] = x[index[i]]`, `dx[index[i]] += dy[i]`. Columns: `y[r,i] = x[r, index[i]]`.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::chunks::rows_per_chunk;

/// Most tasks of a [`scatter_add_rows`].
const SCATTER_TASKS: usize = 16;

/// `y[i]` = `x[index[i]`].
///
/// # Panics
/// If an index is not below the number of rows.
pub fn gather_rows(columns: usize, x: &[f32], index: &[u32], y: &mut [f32]) {
    y.par_chunks_mut(columns).zip(index.par_iter()).with_min_len(64).for_each(|(y, &row)| {
        let first = row as usize * columns;
        y.copy_from_slice(&x[first..first + columns]);
    });
}

/// dx = 0, then `dx[index[i]`] += `dy[i]` in order of i: indices may repeat.
///
/// # Panics
/// If an index is not below the number of rows.
#[multiversion(isa)]
pub fn scatter_add_rows(isa: Isa, columns: usize, dy: &[f32], index: &[u32], dx: &mut [f32]) {
    let rows = dx.len() / columns;
    assert!(index.iter().all(|&row| (row as usize) < rows), "an index is not below {rows}");
    // Each task has rows of its own, and looks for them among all indices.
    let own = rows.div_ceil(SCATTER_TASKS).max(rows_per_chunk(columns));
    dx.par_chunks_mut(own * columns).enumerate().for_each(|(task, dx)| {
        dx.fill(0.0);
        for (dy, &row) in dy.chunks_exact(columns).zip(index) {
            let row = (row as usize).wrapping_sub(task * own);
            if let Some(dx) = dx.chunks_exact_mut(columns).nth(row) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        }
    });
}

/// `y[r,i]` = `x[r, index[i]]`, for as many indices as y has columns.
///
/// # Panics
/// If an index is not below `columns`.
pub fn gather_columns(columns: usize, x: &[f32], index: &[u32], y: &mut [f32]) {
    let used = y.len() / (x.len() / columns);
    y.par_chunks_mut(used).zip(x.par_chunks(columns)).for_each(|(y, x)| {
        for (y, &column) in y.iter_mut().zip(index) {
            *y = x[column as usize];
        }
    });
}

/// dx = 0, then `dx[r, index[i]]` = `dy[r,i]`: the indices in use are distinct.
///
/// # Panics
/// If an index is not below `columns`.
pub fn gather_columns_backward(columns: usize, dy: &[f32], index: &[u32], dx: &mut [f32]) {
    let used = dy.len() / (dx.len() / columns);
    dx.par_chunks_mut(columns).zip(dy.par_chunks(used)).for_each(|(dx, dy)| {
        dx.fill(0.0);
        for (dy, &column) in dy.iter().zip(index) {
            dx[column as usize] = *dy;
        }
    });
}
