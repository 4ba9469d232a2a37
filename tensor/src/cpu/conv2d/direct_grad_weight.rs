//! `dW = dY^T patches(X)`, with the patches read in place: for each row of the window a product
//! `[O, pixels] [pixels, S C]`, whose second matrix is the slab itself, window by window.
//!
//! Images are dealt to parts, whose sums are added in order; within a part each slab is a chain of
//! additions over its pixels.

use std::ops::Range;

use isa::{Isa, LANES};
use rayon::prelude::*;

use super::edges::{Axis, is_mostly_edge};
use super::slab::Slab;
use crate::cpu::microkernel::{Walk, multiply};
use crate::cpu::reduce::sum_parts;
use crate::geometry::Conv2d;
use crate::order::direct_part_images;

/// Outputs whose sums one task adds to.
const OUTPUTS: usize = 64;

/// Elements of a slab's buffer: panels extend past the last window.
fn slab_elements(conv: Conv2d) -> usize {
    Slab::largest(conv, direct_part_images(conv)).elements(conv) + LANES
}

/// Elements of scratch memory for [`direct_grad_weight`]: a slab per part and, if there are several, a
/// gradient.
pub fn direct_grad_weight_workspace(conv: Conv2d) -> usize {
    match conv.n.div_ceil(direct_part_images(conv)) {
        1 => slab_elements(conv),
        parts => parts * (conv.o * conv.patch() + slab_elements(conv)),
    }
}

/// Gradient by the weight: x `[N,H,W,C]` and dy `[N,P,Q,O]` to dweight `[O,R,S,C]`.
pub fn direct_grad_weight(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    workspace: &mut [f32],
) {
    let parts = conv.n.div_ceil(direct_part_images(conv));
    if parts == 1 {
        return add_parts(isa, conv, x, dy, dweight, workspace);
    }
    let (partials, slabs) = workspace.split_at_mut(parts * dweight.len());
    add_parts(isa, conv, x, dy, partials, slabs);
    sum_parts(isa, partials, dweight);
}

/// The gradient of each part.
fn add_parts(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    partials: &mut [f32],
    slabs: &mut [f32],
) {
    let Conv2d { n, c, o, r, s, stride, .. } = conv;
    let images = direct_part_images(conv);
    partials
        .par_chunks_mut(o * conv.patch())
        .zip(slabs.par_chunks_mut(slab_elements(conv)))
        .enumerate()
        .for_each(|(part, (sums, buffer))| {
            let part = part * images..n.min((part + 1) * images);
            let slabs = Slab::largest(conv, images).cover(conv, part);
            for (i, slab) in slabs.enumerate() {
                let buffer = slab.read(conv, x, buffer);
                let line = conv.out_w() * o;
                let walk = Walk {
                    inner: [slab.images, slab.rows, conv.out_w()],
                    x: [slab.rows * line, line, o],
                    panel: [slab.image(conv), stride * Slab::row(conv), stride * c],
                    panel_step: LANES,
                    y_row: conv.patch(),
                    y_panel: LANES,
                    rows: o,
                    outputs: s * c,
                    adds: true,
                };
                let first = slab.first_image * conv.out_h() + slab.first_row;
                let dy = &dy[first * line..];
                // Shared by idle threads.
                let groups = sums.par_chunks_mut(OUTPUTS * conv.patch()).enumerate();
                groups.for_each(|(group, sums)| {
                    let rows = sums.len() / conv.patch();
                    let outputs = group * OUTPUTS..group * OUTPUTS + rows;
                    let walk = Walk { rows, ..walk };
                    if i == 0 {
                        sums.fill(0.0);
                    }
                    if slab.rows == conv.out_h() && is_mostly_edge(conv) {
                        multiply_inside(isa, conv, slab, &walk, dy, outputs, buffer, sums);
                        return;
                    }
                    for r in 0..r {
                        let windows = &buffer[r * Slab::row(conv)..];
                        let sums = &mut sums[r * s * c..];
                        multiply(isa, &walk, dy, outputs.clone(), windows, sums);
                    }
                });
            }
        });
}

/// The same place by place of the window, with only those pixels where it is inside the images.
#[allow(clippy::too_many_arguments)]
fn multiply_inside(
    isa: Isa,
    conv: Conv2d,
    slab: Slab,
    walk: &Walk,
    dy: &[f32],
    outputs: Range<usize>,
    buffer: &[f32],
    sums: &mut [f32],
) {
    let [rows, columns] = Axis::both(conv);
    for place in 0..conv.r * conv.s {
        let (r, s) = (place / conv.s, place % conv.s);
        let (rows, columns) = (rows.outputs(r), columns.outputs(s));
        let walk =
            Walk { inner: [slab.images, rows.len(), columns.len()], outputs: conv.c, ..*walk };
        let first = |[_, row, column]: [usize; 3]| rows.start * row + columns.start * column;
        let dy = &dy[first(walk.x)..];
        let window = r * Slab::row(conv) + s * conv.c + first(walk.panel);
        multiply(isa, &walk, dy, outputs.clone(), &buffer[window..], &mut sums[place * conv.c..]);
    }
}
