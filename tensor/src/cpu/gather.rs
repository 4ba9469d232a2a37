//! `y[i] = x[index[i]]` and its gradient `dx[index[i]] += dy[i]`, row by row.

use rayon::prelude::*;

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

/// dx = 0, then `dx[index[i]`] += `dy[i]` in order of i: an index may come more than once.
///
/// # Panics
/// If an index is not below the number of rows.
pub fn scatter_add_rows(columns: usize, dy: &[f32], index: &[u32], dx: &mut [f32]) {
    dx.fill(0.0);
    for (dy, &row) in dy.chunks_exact(columns).zip(index) {
        let first = row as usize * columns;
        for (dx, dy) in dx[first..first + columns].iter_mut().zip(dy) {
            *dx += dy;
        }
    }
}
