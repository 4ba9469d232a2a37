//! Gradient by the input with a stride. Pixel (y, x) of dx meets only those places (r, s) of the
//! window that leave the same remainders by the stride as y + padding and x + padding; so the pixels of
//! each pair of remainders, a *phase*, are a convolution of dy with every stride-th place of the
//! window, turned by 180 degrees. A phase without such places is zero.

use std::iter::{StepBy, Zip};
use std::ops::{Range, RangeFrom};

use isa::{Isa, LANES};
use rayon::prelude::*;

use super::filter::Filter;
use super::slab::Slab;
use super::tasks::{SLAB, images_per_task};
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::{Conv2d, ConvAlgorithm};

/// Rows or columns of dx, each with one of dy.
type Meetings = Zip<StepBy<Range<usize>>, RangeFrom<usize>>;

/// Pixels of dx with the same remainders, and the places of the window that they meet.
#[derive(Clone, Copy)]
struct Phase {
    /// Remainders of y + padding and x + padding by the stride.
    remainder: [usize; 2],
    /// Rows and columns of the window that it meets.
    window: [usize; 2],
}

impl Phase {
    /// All phases that have pixels: those of the first rows and columns, up to the stride.
    fn all(conv: Conv2d) -> impl Iterator<Item = Phase> {
        let Conv2d { h, w, r, s, padding, stride, .. } = conv;
        let meets = move |size: usize, remainder| size.saturating_sub(remainder).div_ceil(stride);
        (0..h.min(stride)).flat_map(move |y| {
            (0..w.min(stride)).map(move |x| {
                let [a, b] = [y, x].map(|place| (place + padding) % stride);
                Phase { remainder: [a, b], window: [meets(r, a), meets(s, b)] }
            })
        })
    }

    /// Places of the window that it meets.
    fn places(self) -> usize {
        self.window[0] * self.window[1]
    }

    /// Place of the window with its i-th row and column from the end.
    fn place(self, conv: Conv2d, i: usize) -> usize {
        let [a, b] = self.remainder;
        let [rows, columns] = self.window;
        let (r, s) = (rows - 1 - i / columns, columns - 1 - i % columns);
        (a + r * conv.stride) * conv.s + b + s * conv.stride
    }

    /// Elements of its weights in panels.
    fn packed(self, conv: Conv2d) -> usize {
        conv.c.next_multiple_of(LANES) * self.places() * conv.o
    }

    /// Its rows of dx, each with the first row of dy that it meets, in images with a margin.
    fn rows(self, conv: Conv2d, margin: usize) -> Meetings {
        meetings(conv, conv.h, self.remainder[0], self.window[0], margin)
    }

    /// The same of columns.
    fn columns(self, conv: Conv2d, margin: usize) -> Meetings {
        meetings(conv, conv.w, self.remainder[1], self.window[1], margin)
    }
}

/// Those of `size` rows or columns of dx with this remainder, and the first of dy that they meet.
fn meetings(conv: Conv2d, size: usize, remainder: usize, window: usize, margin: usize) -> Meetings {
    let Conv2d { padding, stride, .. } = conv;
    let first = (remainder + stride - padding % stride) % stride;
    let met = (first + padding) / stride + margin + 1 - window;
    (first..size).step_by(stride).zip(met..)
}

/// dy as the input of a convolution whose slabs have a margin that covers all windows.
fn gradient_images(conv: Conv2d) -> Conv2d {
    Conv2d {
        h: conv.out_h(),
        w: conv.out_w(),
        c: conv.o,
        o: conv.c,
        r: 1,
        s: 1,
        stride: 1,
        padding: (conv.r.max(conv.s) - 1).div_ceil(conv.stride),
        algorithm: ConvAlgorithm::Direct,
        n: conv.n,
    }
}

/// Some whole images of dy.
fn largest_slab(conv: Conv2d) -> Slab {
    let dy = gradient_images(conv);
    let one = Slab { first_image: 0, images: 1, first_row: 0, rows: dy.out_h() };
    let images = (SLAB / one.image(dy)).clamp(1, images_per_task(conv));
    Slab { images, ..one }
}

/// Elements of a task's scratch memory: a slab of dy, and the pixels of a phase.
fn scratch_elements(conv: Conv2d) -> [usize; 2] {
    let slab = largest_slab(conv);
    let pixels = conv.h.div_ceil(conv.stride) * conv.w.div_ceil(conv.stride);
    [slab.elements(gradient_images(conv)), slab.images * pixels * conv.c]
}

fn packed(conv: Conv2d) -> usize {
    Phase::all(conv).map(|phase| phase.packed(conv)).sum()
}

/// Elements of scratch memory for [`grad_input_by_phases`].
pub fn grad_input_by_phases_workspace(conv: Conv2d) -> usize {
    let tasks = conv.n.div_ceil(images_per_task(conv));
    packed(conv) + tasks * scratch_elements(conv).iter().sum::<usize>()
}

/// Gradient by the input: dy `[N,P,Q,O]` and weight `[O,R,S,C]` to dx `[N,H,W,C]`.
pub fn grad_input_by_phases(
    isa: Isa,
    conv: Conv2d,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
    workspace: &mut [f32],
) {
    let (panels, scratch) = workspace.split_at_mut(packed(conv));
    let filter = Filter::transposed(conv, weight);
    let mut rest = &mut *panels;
    for phase in Phase::all(conv) {
        let panels = rest.split_off_mut(..phase.packed(conv)).expect("room for all phases");
        filter.pack(isa, phase.places(), |i| phase.place(conv, i), panels);
    }
    let images = images_per_task(conv);
    let image = conv.h * conv.w * conv.c;
    let [slab_len, pixels_len] = scratch_elements(conv);
    let gradient = gradient_images(conv);
    dx.par_chunks_mut(images * image)
        .zip(scratch.par_chunks_mut(slab_len + pixels_len))
        .enumerate()
        .for_each(|(task, (dx, scratch))| {
            let (buffer, pixels) = scratch.split_at_mut(slab_len);
            let first = task * images;
            for slab in largest_slab(conv).cover(gradient, first..conv.n.min(first + images)) {
                let buffer = slab.read(gradient, dy, buffer);
                let dx = &mut dx[(slab.first_image - first) * image..][..slab.images * image];
                let mut panels = &*panels;
                for phase in Phase::all(conv) {
                    let panels = panels.split_off(..phase.packed(conv)).expect("all phases");
                    multiply_phase(isa, conv, phase, (slab, buffer), panels, pixels);
                    scatter(conv, phase, pixels, dx);
                }
            }
        });
}

/// The pixels of a phase, row by row, of all images of a slab.
fn multiply_phase(
    isa: Isa,
    conv: Conv2d,
    phase: Phase,
    (slab, buffer): (Slab, &[f32]),
    panels: &[f32],
    pixels: &mut [f32],
) {
    let gradient = gradient_images(conv);
    let (row, margin) = (Slab::row(gradient), gradient.padding);
    let [rows, columns] = [phase.rows(conv, margin), phase.columns(conv, margin)];
    let count = slab.images * rows.clone().count() * columns.clone().count();
    if phase.places() == 0 {
        pixels[..count * conv.c].fill(0.0);
        return;
    }
    let walk = Walk {
        inner: [1, phase.window[0], phase.window[1] * conv.o],
        x: [0, row, 1],
        panel: [0, phase.window[1] * conv.o * LANES, LANES],
        panel_step: phase.places() * conv.o * LANES,
        y_row: conv.c,
        y_panel: LANES,
        rows: count,
        outputs: conv.c,
        adds: false,
    };
    let starts = (0..slab.images).flat_map(|image| {
        let columns = columns.clone();
        rows.clone().flat_map(move |(_, p)| {
            let start = image * slab.image(gradient) + p * row;
            columns.clone().map(move |(_, q)| start + q * conv.o)
        })
    });
    multiply(isa, &walk, buffer, starts, panels, pixels);
}

/// Copies the pixels of a phase to their places in dx.
fn scatter(conv: Conv2d, phase: Phase, pixels: &[f32], dx: &mut [f32]) {
    let margin = gradient_images(conv).padding;
    let mut pixels = pixels.chunks_exact(conv.c);
    for dx in dx.chunks_exact_mut(conv.h * conv.w * conv.c) {
        for (y, _) in phase.rows(conv, margin) {
            for (x, _) in phase.columns(conv, margin) {
                let pixel = pixels.next().expect("as many pixels");
                dx[(y * conv.w + x) * conv.c..][..conv.c].copy_from_slice(pixel);
            }
        }
    }
}
