//! Matrix products by the microkernel, on tiles scheduled by rayon.
//!
//! `C[m,n] = op(A)[m,k] op(B)[k,n]`, row-major. Tiles are groups of rows of C; if C is small and k
//! large (gradients of weights), k is split instead and the partial products are added in order.
//! Both splits depend only on the shape; that of k, which decides the order of sums, is in `order`.

use isa::{Isa, LANES, Vector, multiversion};
use rayon::prelude::*;

use super::group_sums::{AT_ONCE, OutputRows};
use super::microkernel::{Walk, copy_lanes, multiply, transpose_lanes};
use crate::geometry::Gemm;
use crate::order::{PRODUCT_CHAIN, inner_part};

/// Tiles per product, if it is large enough.
const TILES: usize = 16;
/// Rows of C in a tile: with fewer, it reads all of B for too little work.
const TILE_ROWS: usize = 32;
/// Products of fewer operations are not worth a second thread.
const MIN_FLOPS: u64 = 1 << 19;

/// Inner size of a block: one chain of additions.
const INNER: usize = PRODUCT_CHAIN;
/// Panels of B that [`sgemm`] packs at a time.
const PANELS: usize = 2;
/// Rows of A in a block, which stays in L2.
const ROWS: usize = 256;
/// The same of a transposed A, which is packed, in panels.
const ROW_PANELS: usize = 4;
/// Panels of B that a task packs for all.
const SHARED_PANELS: usize = 8;

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
}

/// C = A B, or C += A B if `adds`, on this thread, with A `[m,k]`, B `[k,n]` and C `[m,n]` row-major.
///
/// # Panics
/// If a matrix reaches outside its slice.
#[multiversion(isa, V)]
pub fn sgemm(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
    adds: bool,
    c: &mut [f32],
) {
    if k == 0 && !adds {
        c[..m * n].fill(0.0);
    }
    let mut b_panels = [[[0.0; LANES]; INNER]; PANELS];
    let mut a_panels;
    let (at_once, a_panels): (usize, &mut [[f32; LANES]]) = if a_strides.column == 1 {
        (ROWS, &mut [])
    } else {
        a_panels = [[[0.0; LANES]; INNER]; ROW_PANELS];
        (ROW_PANELS * LANES, a_panels.as_flattened_mut())
    };
    for row in (0..m).step_by(at_once) {
        let rows = at_once.min(m - row);
        for first in (0..k).step_by(INNER) {
            let inner = INNER.min(k - first);
            let a = &a[row * a_strides.row + first * a_strides.column..];
            let a = Rows::new::<V>((a, a_strides), (rows, inner), INNER, &mut *a_panels);
            for column in (0..n).step_by(PANELS * LANES) {
                let columns = (PANELS * LANES).min(n - column);
                let b = &b[first * b_strides.row + column * b_strides.column..];
                let b = if b_strides.column == 1 && columns.is_multiple_of(LANES) {
                    Columns { b, steps: [LANES, b_strides.row] }
                } else {
                    pack::<V>((b, b_strides), (inner, columns), INNER, b_panels.as_flattened_mut());
                    Columns::packed(b_panels.as_flattened().as_flattened(), INNER)
                };
                let c = &mut c[row * n + column..];
                a.multiply(isa, b, columns, n, adds || first > 0, c);
            }
        }
    }
}

/// Some columns of B, of which [`LANES`] are next to each other: as they are, or in panels.
struct Columns<'a> {
    b: &'a [f32],
    /// Elements from [`LANES`] columns to the next, from a number to the next.
    steps: [usize; 2],
}

impl Columns<'_> {
    /// In panels `depth` apart.
    fn packed(b: &[f32], depth: usize) -> Columns<'_> {
        Columns { b, steps: [depth * LANES, LANES] }
    }
}

/// A block of rows of A, in which numbers that follow each other are near: as they are or, if A is
/// transposed, in panels. (Rows of a transposed A are far apart, and compete for the same lines of
/// L1.)
struct Rows<'a> {
    a: &'a [f32],
    rows: usize,
    inner: usize,
    /// Elements from a row to the next, from [`LANES`] rows to the next, from a number to the next.
    steps: [usize; 3],
}

impl<'a> Rows<'a> {
    /// `rows` rows of `inner` numbers; of a transposed A in `panels`, `depth` apart.
    #[inline(always)]
    fn new<V: Vector>(
        (a, strides): (&'a [f32], Strides),
        (rows, inner): (usize, usize),
        depth: usize,
        panels: &'a mut [[f32; LANES]],
    ) -> Rows<'a> {
        if strides.column == 1 {
            return Rows { a, rows, inner, steps: [strides.row, LANES * strides.row, 1] };
        }
        let columns = Strides { row: strides.column, column: strides.row };
        pack::<V>((a, columns), (inner, rows), depth, panels);
        Rows { a: panels.as_flattened(), rows, inner, steps: [1, depth * LANES, LANES] }
    }

    /// Its product with that many columns of B, into C with rows of `n`.
    fn multiply(&self, isa: Isa, b: Columns, columns: usize, n: usize, adds: bool, c: &mut [f32]) {
        let [row, panel, number] = self.steps;
        let walk = Walk {
            inner: [1, 1, self.inner],
            x: [0, 0, number],
            panel: [0, 0, b.steps[1]],
            panel_step: b.steps[0],
            y_row: n,
            y_panel: LANES,
            rows: self.rows,
            outputs: columns,
            adds,
        };
        let starts = (0..self.rows).map(|i| i / LANES * panel + i % LANES * row);
        multiply(isa, &walk, self.a, starts, b.b, c);
    }
}

/// `panels[j / 16 * depth + k][j % 16]`: the first `columns` columns of B, `inner` numbers of each.
#[inline(always)]
fn pack<V: Vector>(
    (b, strides): (&[f32], Strides),
    (inner, columns): (usize, usize),
    depth: usize,
    panels: &mut [[f32; LANES]],
) {
    for (first, panel) in (0..columns).step_by(LANES).zip(panels.chunks_mut(depth)) {
        let lanes = LANES.min(columns - first);
        let b = &b[first * strides.column..];
        if strides.column == 1 {
            for (k, to) in panel.iter_mut().enumerate().take(inner) {
                copy_lanes(&b[k * strides.row..], lanes, to);
            }
        } else {
            transpose_lanes::<V>(b, strides.column, lanes, &mut panel[..inner]);
        }
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
    let part = inner_part(g);
    if part < g.k {
        return Cut::Inner(part);
    }
    if g.flops() < MIN_FLOPS {
        return Cut::Rows(g.m.max(1));
    }
    Cut::Rows(g.m.div_ceil(TILES).next_multiple_of(TILE_ROWS))
}

/// Elements of scratch memory for [`gemm`]: panels of B, and of a transposed A, for one chain, or the
/// parts' products.
pub fn workspace(g: Gemm) -> usize {
    match cut(g) {
        Cut::Rows(_) => packed(g).iter().sum(),
        Cut::Inner(part) => g.k.div_ceil(part) * g.m * g.n,
    }
}

/// Elements of the panels of B and of A.
fn packed(g: Gemm) -> [usize; 2] {
    let depth = INNER.min(g.k);
    let a = if g.trans_a { g.m.next_multiple_of(LANES) * depth } else { 0 };
    [g.n.next_multiple_of(LANES) * depth, a]
}

/// C = op(A) op(B), on all threads of the pool.
pub fn gemm(isa: Isa, g: Gemm, a: &[f32], b: &[f32], c: &mut [f32], workspace: &mut [f32]) {
    product(isa, g, a, b, None, [c, &mut []], workspace);
}

/// As [`gemm`], with batch norm's sums of C's rows unless `sums` is empty.
pub fn gemm_sums(
    isa: Isa,
    g: Gemm,
    a: &[f32],
    b: &[f32],
    [c, sums]: [&mut [f32]; 2],
    workspace: &mut [f32],
) {
    product(isa, g, a, b, None, [c, sums], workspace);
}

/// C = op(A) op(B) + bias `[n]` in every row.
pub fn gemm_bias(
    isa: Isa,
    g: Gemm,
    a: &[f32],
    b: &[f32],
    bias: &[f32],
    c: &mut [f32],
    workspace: &mut [f32],
) {
    product(isa, g, a, b, Some(bias), [c, &mut []], workspace);
}

#[multiversion(isa, V)]
fn product(
    isa: Isa,
    g: Gemm,
    a: &[f32],
    b: &[f32],
    bias: Option<&[f32]>,
    [c, sums]: [&mut [f32]; 2],
    workspace: &mut [f32],
) {
    let Gemm { m, n, k, trans_a, trans_b } = g;
    let a_strides = Strides::new(if trans_a { m } else { k }, trans_a);
    let b_strides = Strides::new(if trans_b { k } else { n }, trans_b);
    if m == 0 || n == 0 {
        return;
    }
    match cut(g) {
        Cut::Rows(_) if k == 0 => {
            c.chunks_exact_mut(n).for_each(|c| match bias {
                Some(bias) => c.copy_from_slice(bias),
                None => c.fill(0.0),
            });
            OutputRows::all(isa, c, n, sums).written(m);
        }
        Cut::Rows(rows) => {
            let rows = match sums {
                [] => rows,
                _ => rows.min((AT_ONCE / n).max(1).next_multiple_of(TILE_ROWS)),
            };
            let depth = INNER.min(k);
            let (b_panels, a_panels) = workspace.split_at_mut(packed(g)[0]);
            let of_tile = if trans_a { rows.next_multiple_of(LANES) * depth } else { 0 };
            for first in (0..k).step_by(INNER) {
                let inner = INNER.min(k - first);
                let b = &b[first * b_strides.row..];
                let groups = b_panels.par_chunks_mut(SHARED_PANELS * LANES * depth).enumerate();
                groups.for_each(|(group, panels)| {
                    let column = group * SHARED_PANELS * LANES;
                    let columns = (SHARED_PANELS * LANES).min(n - column);
                    let b = (&b[column * b_strides.column..], b_strides);
                    pack::<V>(b, (inner, columns), depth, panels.as_chunks_mut().0);
                });
                let is_last = first + inner == k;
                let multiply = |tile: usize, mut c: OutputRows, a_panels: &mut [f32]| {
                    let a = &a[tile * rows * a_strides.row + first * a_strides.column..];
                    let (rows, a_panels) = (c.y.len() / n, a_panels.as_chunks_mut().0);
                    let a = Rows::new::<V>((a, a_strides), (rows, inner), depth, a_panels);
                    a.multiply(isa, Columns::packed(b_panels, depth), n, n, first > 0, c.y);
                    if let Some(bias) = bias.filter(|_| is_last) {
                        // The tile is still in the cache.
                        for c in c.y.chunks_exact_mut(n) {
                            c.iter_mut().zip(bias).for_each(|(c, bias)| *c += bias);
                        }
                    }
                    c.written(rows);
                };
                let sums = if is_last { &mut *sums } else { &mut [] };
                OutputRows::all(isa, c, n, sums).in_parts(rows, (a_panels, of_tile), &multiply);
            }
        }
        Cut::Inner(part) => {
            workspace.par_chunks_mut(m * n).enumerate().for_each(|(i, c)| {
                let first = i * part;
                let a = &a[first * a_strides.column..];
                let b = &b[first * b_strides.row..];
                let k = part.min(k - first);
                sgemm(isa, (m, k, n), (a, a_strides), (b, b_strides), false, c);
            });
            super::reduce::sum_parts(isa, workspace, c);
            if let Some(bias) = bias {
                super::pointwise::add_bias_assign(isa, bias, c);
            }
            OutputRows::all(isa, c, n, sums).written(m);
        }
    }
}
