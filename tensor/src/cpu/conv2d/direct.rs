//! `Y = patches(X) W^T`, with the patches read in place.
//!
//! In a slab a window is R runs of consecutive numbers, so the matrix of patches need not exist: the
//! microkernel multiplies windows by the weights of a panel of outputs. A matrix product would copy
//! every patch first, which with few output channels costs as much as the product.

use isa::{Isa, LANES};

use super::edges::{Axis, is_mostly_edge};
use super::filter::Filter;
use super::slab::Slab;
use super::tasks::images_per_task;
use crate::cpu::group_sums::{AT_ONCE, OutputRows};
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::Conv2d;

/// Images that fill a tile with the windows of one pixel of the map.
const IMAGES: usize = 8;
/// With fewer images a tile of one pixel of the map is too small, and zeros cost less.
const FEWEST_IMAGES: usize = 4;
/// Panels of outputs whose weights stay in L2 while all pixels of the map are multiplied.
const PANELS: usize = 2;

/// The largest slab of a task of that many images.
fn largest_slab(conv: Conv2d, images: usize) -> Slab {
    let slab = Slab::largest(conv, images);
    if slab.rows == conv.out_h() && is_mostly_edge(conv) {
        let images = (slab.images / IMAGES * IMAGES).max(IMAGES).min(images);
        return Slab { images, ..slab };
    }
    slab
}

/// Elements of scratch memory for [`direct`]: the weights in panels, and a slab per task.
pub fn direct_workspace(conv: Conv2d) -> usize {
    let images = images_per_task(conv);
    Filter::packed(conv) + conv.n.div_ceil(images) * largest_slab(conv, images).elements(conv)
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
    filter.pack(isa, filter.window, |place| place, panels);
    let images = images_per_task(conv);
    let largest = largest_slab(conv, images);
    let each = largest.elements(conv);
    let largest = if y.has_sums() { with_output_in_cache(conv, largest) } else { largest };
    y.in_parts(images * conv.out_h() * conv.out_w(), (slabs, each), &|task, mut y, buffer| {
        let first = task * images;
        let mut done = 0;
        for slab in largest.cover(conv, first..conv.n.min(first + images)) {
            let buffer = slab.read(conv, x, buffer);
            let y_slab = &mut y.y[done * conv.o..];
            if is_mostly_edge(conv) && slab.images >= FEWEST_IMAGES {
                multiply_inside(isa, conv, slab, buffer, panels, y_slab);
            } else {
                multiply(isa, &walk(conv, slab), buffer, slab.windows(conv), panels, y_slab);
            }
            done += slab.pixels(conv);
            y.written(done);
        }
    });
}

/// All windows of a slab, with their margins.
fn walk(conv: Conv2d, slab: Slab) -> Walk {
    Walk {
        inner: [1, conv.r, conv.s * conv.c],
        x: [0, Slab::row(conv), 1],
        panel: [0, conv.s * conv.c * LANES, LANES],
        panel_step: conv.patch() * LANES,
        y_row: conv.o,
        y_panel: LANES,
        rows: slab.pixels(conv),
        outputs: conv.o,
        adds: false,
    }
}

/// The same pixel by pixel of the map, without the places of the windows outside the images.
fn multiply_inside(
    isa: Isa,
    conv: Conv2d,
    slab: Slab,
    buffer: &[f32],
    panels: &[f32],
    y: &mut [f32],
) {
    let Conv2d { c, o, s, stride, .. } = conv;
    let (width, pixels) = (conv.out_w(), slab.rows * conv.out_w());
    let [rows, columns] = Axis::both(conv);
    for output in (0..o).step_by(PANELS * LANES) {
        for pixel in 0..pixels {
            let (p, q) = (pixel / width, pixel % width);
            let (rows, columns) = (rows.places(slab.first_row + p), columns.places(q));
            let walk = Walk {
                inner: [1, rows.len(), columns.len() * c],
                y_row: pixels * o,
                rows: slab.images,
                outputs: (PANELS * LANES).min(o - output),
                ..walk(conv, slab)
            };
            let first =
                (p * stride + rows.start) * Slab::row(conv) + (q * stride + columns.start) * c;
            let starts = (0..slab.images).map(|image| image * slab.image(conv) + first);
            let place = (rows.start * s + columns.start) * c;
            let panels = &panels[output * conv.patch() + place * LANES..];
            multiply(isa, &walk, buffer, starts, panels, &mut y[pixel * o + output..]);
        }
    }
}

/// The slab or a smaller one, whose output stays in a core's cache until it is summed.
fn with_output_in_cache(conv: Conv2d, slab: Slab) -> Slab {
    let rows = (AT_ONCE / (conv.out_w() * conv.o)).max(1);
    match rows / conv.out_h() {
        0 => Slab { images: 1, rows: rows.min(slab.rows), ..slab },
        images => Slab { images: images.min(slab.images), ..slab },
    }
}
