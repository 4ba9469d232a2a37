//! `Y = patches(X) W^T`, with the patches read in place.
//!
//! In a slab a window is R runs of consecutive numbers, so the matrix of patches need not exist: the
//! microkernel multiplies windows by the weights of a panel of outputs. A matrix product would copy
//! every patch first, which with few output channels costs as much as the product.

use isa::{Isa, LANES};

use super::chunks::images_per_task;
use super::filter::Filter;
use super::slab::Slab;
use crate::cpu::group_sums::{AT_ONCE, OutputRows};
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::Conv2d;

/// Elements of scratch memory for [`direct`]: the weights in panels, and a slab per task.
pub fn direct_workspace(conv: Conv2d) -> usize {
    let images = images_per_task(conv);
    Filter::packed(conv) + conv.n.div_ceil(images) * Slab::largest(conv, images).elements(conv)
}

/// Convolution of x `[N,H,W,C]` with `filter` into the rows of y `[N,P,Q,O]`.
pub fn direct(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    y: OutputRows,
    workspace: &mut [f32],
) {
    let (panels, slabs) = workspace.split_at_mut(Filter::packed(conv));
    filter.pack(filter.window, |place| place, panels);
    let images = images_per_task(conv);
    let largest = Slab::largest(conv, images);
    let each = largest.elements(conv);
    let largest = if y.has_sums() { with_output_in_cache(conv, largest) } else { largest };
    y.in_parts(images * conv.out_h() * conv.out_w(), (slabs, each), &|task, mut y, buffer| {
        let first = task * images;
        let mut done = 0;
        for slab in largest.cover(conv, first..conv.n.min(first + images)) {
            slab.fill(conv, x, buffer);
            let walk = Walk {
                inner: [1, conv.r, conv.s * conv.c],
                x: [0, Slab::row(conv), 1],
                panel: [0, conv.s * conv.c * LANES, LANES],
                panel_step: conv.patch() * LANES,
                y_row: conv.o,
                y_panel: LANES,
                rows: slab.pixels(conv),
                outputs: conv.o,
                adds: false,
            };
            multiply(isa, &walk, buffer, slab.windows(conv), panels, &mut y.y[done * conv.o..]);
            done += walk.rows;
            y.written(done);
        }
    });
}

/// The slab or a smaller one, whose output stays in a core's cache until it is summed.
fn with_output_in_cache(conv: Conv2d, slab: Slab) -> Slab {
    let rows = (AT_ONCE / (conv.out_w() * conv.o)).max(1);
    match rows / conv.out_h() {
        0 => Slab { images: 1, rows: rows.min(slab.rows), ..slab },
        images => Slab { images: images.min(slab.images), ..slab },
    }
}
