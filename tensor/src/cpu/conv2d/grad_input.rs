//! `dX = scatter(dY W)`; with stride 1 it is itself a convolution, of dY with the weight rotated by
//! 180 degrees and its channels swapped.

use rayon::prelude::*;

use super::chunks::{CHUNK, images_per_task, is_plain_gemm};
use super::convolve::{convolve, convolve_workspace};
use super::filter::Filter;
use super::patches::scatter_add;
use crate::cpu::gemm::{self, Strides, sgemm};
use crate::cpu::isa::Isa;
use crate::geometry::{Conv2d, Gemm};

fn as_gemm(conv: Conv2d) -> Gemm {
    Gemm { m: conv.rows(), n: conv.c, k: conv.o, trans_a: false, trans_b: false }
}

/// The convolution from dy to dx, if there is one.
fn turned(conv: Conv2d) -> Option<Conv2d> {
    let is_convolution = conv.stride == 1 && conv.r == conv.s && conv.padding < conv.r;
    is_convolution.then(|| Conv2d {
        h: conv.out_h(),
        w: conv.out_w(),
        c: conv.o,
        o: conv.c,
        padding: conv.r - 1 - conv.padding,
        ..conv
    })
}

/// Images per task, and rows of patches that it holds.
fn deal(conv: Conv2d) -> (usize, usize) {
    let images = images_per_task(conv);
    let rows = images * conv.out_h() * conv.out_w();
    (images, (CHUNK / conv.patch().max(1)).clamp(32, 1024).min(rows).max(1))
}

/// Elements of scratch memory for [`grad_input`].
pub fn grad_input_workspace(conv: Conv2d) -> usize {
    if is_plain_gemm(conv) {
        return gemm::workspace(as_gemm(conv));
    }
    if let Some(turned) = turned(conv) {
        return convolve_workspace(turned);
    }
    let (images, chunk) = deal(conv);
    conv.n.div_ceil(images) * chunk * conv.patch()
}

/// Gradient by the input: dy `[N,P,Q,O]` and weight `[O,R,S,C]` to dx `[N,H,W,C]`.
pub fn grad_input(
    isa: Isa,
    conv: Conv2d,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
    workspace: &mut [f32],
) {
    if is_plain_gemm(conv) {
        return gemm::gemm(as_gemm(conv), dy, weight, dx, workspace);
    }
    if let Some(turned) = turned(conv) {
        return convolve(isa, turned, dy, Filter::turned(conv, weight), dx, workspace);
    }
    let (images, chunk) = deal(conv);
    let (k, o, pixels) = (conv.patch(), conv.o, conv.out_h() * conv.out_w());
    let image = conv.h * conv.w * conv.c;
    let by_pixel = Strides::new(o, false);
    let by_weight = Strides::new(k, false);
    dx.par_chunks_mut(images * image)
        .zip(workspace.par_chunks_mut(chunk * k))
        .enumerate()
        .for_each(|(task, (dx, patches))| {
            dx.fill(0.0);
            let first_image = task * images;
            let mut first = first_image * pixels;
            let end = first + dx.len() / image * pixels;
            while first < end {
                let rows = chunk.min(end - first);
                let patches = &mut patches[..rows * k];
                let dy = &dy[first * o..];
                sgemm((rows, o, k), (dy, by_pixel), (weight, by_weight), 0.0, patches);
                scatter_add(conv, patches, first, first_image, dx);
                first += rows;
            }
        });
}
