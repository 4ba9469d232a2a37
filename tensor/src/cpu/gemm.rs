//! Matrix products through `matrixmultiply`, one thread each, on tiles scheduled by rayon.
//!
//! `C[m,n] = op(A)[m,k] op(B)[k,n]`, row-major. Tiles are groups of rows of C; if C is small and k
//! large (gradients of weights), k is split instead and the partial products are added in order.
//! Both splits depend only on the shape.

use rayon::prelude::*;

use crate::geometry::Gemm;

/// Tiles per product, if it is large enough.
const TILES: usize = 16;
/// Minimum rows per tile: a small tile packs more than it computes.
const MIN_ROWS: usize = 32;
/// Inner size from which k is split, if the rows give too few tiles.
const MIN_K: usize = 1024;
/// Products of fewer operations are not worth a second thread.
const MIN_FLOPS: u64 = 1 << 19;

/// A matrix in a slice: element (i, j) is at `i * row + j * column`.
#[derive(Clone, Copy)]
pub struct Strides {
    /// Elements from a row to the next.
    pub row: usize,
    /// Elements from a column to the next.
    pub column: usize,
}

impl Strides {
    /// Row-major with rows of `columns`, or its transpose.
    pub fn new(columns: usize, transposed: bool) -> Strides {
        if transposed {
            Strides { row: 1, column: columns }
        } else {
            Strides { row: columns, column: 1 }
        }
    }

    fn end(self, rows: usize, columns: usize) -> usize {
        (rows - 1) * self.row + (columns - 1) * self.column + 1
    }
}

/// C = A B + beta C on this thread, with A `[m,k]`, B `[k,n]` and C `[m,n]` row-major.
///
/// # Panics
/// If a matrix reaches outside its slice.
pub fn sgemm(
    (m, k, n): (usize, usize, usize),
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
    beta: f32,
    c: &mut [f32],
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(c.len() >= m * n, "C of {} elements is not {m}x{n}", c.len());
    if k == 0 {
        c[..m * n].iter_mut().for_each(|c| *c *= beta);
        return;
    }
    assert!(a.len() >= a_strides.end(m, k), "A of {} elements is not {m}x{k}", a.len());
    assert!(b.len() >= b_strides.end(k, n), "B of {} elements is not {k}x{n}", b.len());
    // SAFETY: the asserts above keep every element of the three matrices inside its slice, and C
    // is borrowed exclusively.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            a_strides.row as isize,
            a_strides.column as isize,
            b.as_ptr(),
            b_strides.row as isize,
            b_strides.column as isize,
            beta,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

/// How a product is split.
enum Cut {
    /// Into tiles of this many rows of C.
    Rows(usize),
    /// Into parts of this length of k.
    Inner(usize),
}

fn cut(g: Gemm) -> Cut {
    if g.flops() < MIN_FLOPS {
        return Cut::Rows(g.m.max(1));
    }
    let rows = g.m.div_ceil(TILES).next_multiple_of(8).max(MIN_ROWS);
    if g.m.div_ceil(rows) < 4 && g.k >= MIN_K {
        return Cut::Inner(g.k.div_ceil(TILES).max(MIN_K / 4));
    }
    Cut::Rows(rows)
}

/// Elements of scratch memory for [`gemm`].
pub fn workspace(g: Gemm) -> usize {
    match cut(g) {
        Cut::Rows(_) => 0,
        Cut::Inner(part) => g.k.div_ceil(part) * g.m * g.n,
    }
}

/// C = op(A) op(B), on all threads of the pool.
pub fn gemm(g: Gemm, a: &[f32], b: &[f32], c: &mut [f32], workspace: &mut [f32]) {
    product(g, a, b, None, c, workspace);
}

/// C = op(A) op(B) + bias `[n]` in every row.
pub fn gemm_bias(
    g: Gemm,
    a: &[f32],
    b: &[f32],
    bias: &[f32],
    c: &mut [f32],
    workspace: &mut [f32],
) {
    product(g, a, b, Some(bias), c, workspace);
}

fn product(
    g: Gemm,
    a: &[f32],
    b: &[f32],
    bias: Option<&[f32]>,
    c: &mut [f32],
    workspace: &mut [f32],
) {
    let Gemm { m, n, k, trans_a, trans_b } = g;
    let a_strides = Strides::new(if trans_a { m } else { k }, trans_a);
    let b_strides = Strides::new(if trans_b { k } else { n }, trans_b);
    if m == 0 || n == 0 {
        return;
    }
    match cut(g) {
        Cut::Rows(rows) => {
            c.par_chunks_mut(rows * n).enumerate().for_each(|(tile, c)| {
                let a = &a[tile * rows * a_strides.row..];
                sgemm((c.len() / n, k, n), (a, a_strides), (b, b_strides), 0.0, c);
                // The tile is still in the cache.
                for c in c.chunks_exact_mut(n) {
                    c.iter_mut().zip(bias.into_iter().flatten()).for_each(|(c, bias)| *c += bias);
                }
            });
        }
        Cut::Inner(part) => {
            workspace.par_chunks_mut(m * n).enumerate().for_each(|(i, c)| {
                let first = i * part;
                let a = &a[first * a_strides.column..];
                let b = &b[first * b_strides.row..];
                let k = part.min(k - first);
                sgemm((m, k, n), (a, a_strides), (b, b_strides), 0.0, c);
            });
            super::reduce::sum_parts(workspace, c);
            if let Some(bias) = bias {
                super::pointwise::add_bias_assign(bias, c);
            }
        }
    }
}
