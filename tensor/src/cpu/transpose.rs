//! The transpose of a matrix.

use rayon::prelude::*;

/// Columns of x that a task reads at a time: a cache line.
const COLUMNS: usize = 16;

/// `y[c,r] = x[r,c]` of x `[rows,columns]`.
pub fn transpose(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    // Few columns are a task each, so that all threads have one.
    let at_once = columns.div_ceil(COLUMNS).min(COLUMNS);
    y.par_chunks_mut(at_once * rows).enumerate().for_each(|(task, y)| {
        let first = task * at_once;
        for (r, x) in x.chunks_exact(columns).enumerate() {
            let places = y[r..].iter_mut().step_by(rows);
            places.zip(&x[first..]).for_each(|(y, x)| *y = *x);
        }
    });
}
