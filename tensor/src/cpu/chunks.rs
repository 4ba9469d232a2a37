//! Chunks of fixed size, which all threads share.
//!
//! The work is a closure that stands in a [`multiversion`](isa::multiversion) function, so that the
//! loops in it are vector code.

use rayon::prelude::*;

use crate::order::CHUNK;

/// Rows of `columns` elements that are about a chunk.
pub fn rows_per_chunk(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1)
}

/// Elements of so many rows.
pub fn chunk_of_rows(columns: usize) -> usize {
    rows_per_chunk(columns) * columns.max(1)
}

/// Calls `work(x, y)` for all chunks of `len` elements of x and y.
pub fn each_chunk(len: usize, x: &[f32], y: &mut [f32], work: impl Fn(&[f32], &mut [f32]) + Sync) {
    y.par_chunks_mut(len).zip(x.par_chunks(len)).for_each(|(y, x)| work(x, y));
}

/// Calls `work(a, b, y)` for all chunks of `len` elements of a, b and y.
pub fn each_chunk2(
    len: usize,
    (a, b): (&[f32], &[f32]),
    y: &mut [f32],
    work: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) {
    let inputs = a.par_chunks(len).zip(b.par_chunks(len));
    y.par_chunks_mut(len).zip(inputs).for_each(|(y, (a, b))| work(a, b, y));
}
