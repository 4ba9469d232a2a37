//! `Y = patches(X) W^T`, with the patches read in place.
//!
//! In a slab a window is R runs of consecutive numbers, so the matrix of patches need not exist: the
//! microkernel multiplies windows by the weights of a panel of outputs. `matrixmultiply` would pack
//! every patch first, which with few output channels costs as much as the product.

use rayon::prelude::*;

use super::chunks::images_per_task;
use super::filter::Filter;
use super::slab::Slab;
use crate::cpu::isa::Isa;
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::Conv2d;

/// Elements of scratch memory for [`direct`]: the weights in panels, and a slab per task.
pub fn direct_workspace(conv: Conv2d) -> usize {
    let tasks = conv.n.div_ceil(images_per_task(conv));
    Filter::packed(conv) + tasks * Slab::of(conv).elements(conv)
}

/// Convolution of x `[N,H,W,C]` with `filter` into y `[N,P,Q,O]`.
pub fn direct(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    y: &mut [f32],
    workspace: &mut [f32],
) {
    let (p, row) = (conv.out_h(), conv.out_w() * conv.o);
    let (panels, slabs) = workspace.split_at_mut(Filter::packed(conv));
    filter.pack(panels);
    let slab = Slab::of(conv);
    let images = images_per_task(conv);
    y.par_chunks_mut(images * p * row)
        .zip(slabs.par_chunks_mut(slab.elements(conv)))
        .enumerate()
        .for_each(|(task, (y, buffer))| {
            for (i, y) in y.chunks_mut(slab.images * p * row).enumerate() {
                let first_image = task * images + i * slab.images;
                let images = y.len() / (p * row);
                for (j, y) in y.chunks_mut(images * slab.rows * row).enumerate() {
                    let part = Slab { images, rows: y.len() / (images * row) };
                    part.fill(conv, x, (first_image, j * slab.rows), buffer);
                    let walk = Walk {
                        runs: conv.r,
                        run: conv.s * conv.c,
                        x_run: Slab::row(conv),
                        x_step: 1,
                        y_row: conv.o,
                        rows: y.len() / conv.o,
                        outputs: conv.o,
                        adds: false,
                    };
                    multiply(isa, &walk, buffer, part.windows(conv), panels, y);
                }
            }
        });
}
