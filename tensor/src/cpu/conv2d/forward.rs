//! `Y = patches(X) W^T`, with the patches read in place.
//!
//! A slab is a zero-padded copy of some images. In it a window is R runs of S x C consecutive
//! numbers, so the matrix of patches need not exist: the kernel multiplies [`PIXELS`] windows by
//! the weights of [`OUTPUTS`] channels and keeps all their sums in registers. `matrixmultiply`
//! would pack every patch first, which with few output channels costs as much as the product.

use rayon::prelude::*;

use super::chunks::{CHUNK, TASKS, is_plain_gemm};
use crate::cpu::gemm;
use crate::geometry::{Conv2d, Gemm};

/// Windows per tile.
const PIXELS: usize = 6;
/// Output channels per tile. 6 x 16 sums fill 12 of AVX2's 16 vector registers, leaving two for
/// weights and one for a pixel.
const OUTPUTS: usize = 16;

type Tile = [[f32; OUTPUTS]; PIXELS];

fn as_gemm(conv: Conv2d) -> Gemm {
    Gemm { m: conv.rows(), n: conv.o, k: conv.c, trans_a: false, trans_b: true }
}

/// The part of the input copied into one slab: `rows` output rows of each of `images` images; more
/// than one image only with all rows.
#[derive(Clone, Copy)]
struct Slab {
    images: usize,
    rows: usize,
}

impl Slab {
    fn of(conv: Conv2d) -> Slab {
        let row = (conv.w + 2 * conv.padding) * conv.c;
        let image = (conv.h + 2 * conv.padding) * row;
        if image <= CHUNK / 2 {
            return Slab {
                images: (CHUNK / 2 / image.max(1)).clamp(1, images_per_task(conv)),
                rows: conv.out_h(),
            };
        }
        let input_rows = (CHUNK / 2 / row).saturating_sub(conv.r);
        Slab { images: 1, rows: (input_rows / conv.stride + 1).min(conv.out_h()) }
    }

    /// Input rows per image, zeros included.
    fn height(self, conv: Conv2d) -> usize {
        (self.rows - 1) * conv.stride + conv.r
    }

    fn elements(self, conv: Conv2d) -> usize {
        self.images * self.height(conv) * (conv.w + 2 * conv.padding) * conv.c
    }
}

fn images_per_task(conv: Conv2d) -> usize {
    conv.n.div_ceil(TASKS).max(1)
}

fn panels_elements(conv: Conv2d) -> usize {
    conv.o.next_multiple_of(OUTPUTS) * conv.patch()
}

/// Elements of scratch memory for [`forward`]: the weights in panels, and a slab per task.
pub fn forward_workspace(conv: Conv2d) -> usize {
    if is_plain_gemm(conv) {
        return gemm::workspace(as_gemm(conv));
    }
    let tasks = conv.n.div_ceil(images_per_task(conv));
    panels_elements(conv) + tasks * Slab::of(conv).elements(conv)
}

/// Convolution of x `[N,H,W,C]` with weight `[O,R,S,C]` into y `[N,P,Q,O]`.
pub fn forward(conv: Conv2d, x: &[f32], weight: &[f32], y: &mut [f32], workspace: &mut [f32]) {
    if is_plain_gemm(conv) {
        return gemm::gemm(as_gemm(conv), x, weight, y, workspace);
    }
    let (p, row) = (conv.out_h(), conv.out_w() * conv.o);
    let (panels, slabs) = workspace.split_at_mut(panels_elements(conv));
    pack(conv, weight, panels);
    let slab = Slab::of(conv);
    let images = images_per_task(conv);
    y.par_chunks_mut(images * p * row)
        .zip(slabs.par_chunks_mut(slab.elements(conv)))
        .enumerate()
        .for_each(|(task, (y, buffer))| {
            for (i, y) in y.chunks_mut(slab.images * p * row).enumerate() {
                let first = task * images + i * slab.images;
                let images = y.len() / (p * row);
                for (j, y) in y.chunks_mut(images * slab.rows * row).enumerate() {
                    let part = Slab { images, rows: y.len() / (images * row) };
                    fill(conv, part, x, first, j * slab.rows, buffer);
                    multiply(conv, part, buffer, panels, y);
                }
            }
        });
}

/// `panels[o / 16][r, s, c][o % 16] = weight[o, r, s, c]`, zeros beyond the last channel.
fn pack(conv: Conv2d, weight: &[f32], panels: &mut [f32]) {
    let patch = conv.patch();
    panels.par_chunks_mut(patch * OUTPUTS).enumerate().for_each(|(panel, out)| {
        for (lane, first) in (panel * OUTPUTS..(panel + 1) * OUTPUTS).enumerate() {
            let weights = weight.get(first * patch..(first + 1) * patch);
            for (k, out) in out.iter_mut().skip(lane).step_by(OUTPUTS).enumerate() {
                *out = weights.map_or(0.0, |weights| weights[k]);
            }
        }
    });
}

/// Copies the input for the output rows from `first_row` on of the images from `first_image` on.
fn fill(
    conv: Conv2d,
    slab: Slab,
    x: &[f32],
    first_image: usize,
    first_row: usize,
    buffer: &mut [f32],
) {
    let Conv2d { h, w, c, padding, stride, .. } = conv;
    let height = slab.height(conv);
    let rows = buffer.chunks_exact_mut((w + 2 * padding) * c).take(slab.images * height);
    for (i, out) in rows.enumerate() {
        let inside = (first_row * stride + i % height).checked_sub(padding).filter(|&y| y < h);
        let Some(y) = inside else {
            out.fill(0.0);
            continue;
        };
        let start = ((first_image + i / height) * h + y) * w * c;
        let (left, rest) = out.split_at_mut(padding * c);
        let (middle, right) = rest.split_at_mut(w * c);
        left.fill(0.0);
        middle.copy_from_slice(&x[start..start + w * c]);
        right.fill(0.0);
    }
}

/// All output pixels of a slab, panel by panel of output channels.
fn multiply(conv: Conv2d, slab: Slab, buffer: &[f32], panels: &[f32], y: &mut [f32]) {
    let Conv2d { c, o, stride, .. } = conv;
    let (q, run, row) = (conv.out_w(), conv.s * c, (conv.w + 2 * conv.padding) * c);
    let pixels = slab.images * slab.rows * q;
    let image = slab.height(conv) * row;
    // Where the window of an output pixel starts.
    let start = |pixel: usize| {
        let (line, column) = (pixel / q, pixel % q);
        line / slab.rows * image + (line % slab.rows * row + column * c) * stride
    };
    for (panel, weights) in panels.chunks_exact(conv.patch() * OUTPUTS).enumerate() {
        let first_output = panel * OUTPUTS;
        let width = OUTPUTS.min(o - first_output);
        for first in (0..pixels).step_by(PIXELS) {
            // A tile that extends past the end recomputes the last pixel.
            let starts: [usize; PIXELS] =
                std::array::from_fn(|i| start((first + i).min(pixels - 1)));
            let sums = tile(conv.r, run, row, buffer, starts, weights);
            for (pixel, sums) in (first..pixels).zip(&sums) {
                let at = pixel * o + first_output;
                y[at..at + width].copy_from_slice(&sums[..width]);
            }
        }
    }
}

/// The sums of six windows, each of `r` runs `row` apart, with the weights of a panel.
#[inline]
fn tile(
    r: usize,
    run: usize,
    row: usize,
    x: &[f32],
    starts: [usize; PIXELS],
    panel: &[f32],
) -> Tile {
    let mut sums = [[0.0; OUTPUTS]; PIXELS];
    let (panel, _) = panel.as_chunks::<OUTPUTS>();
    for (r, weights) in (0..r).zip(panel.chunks_exact(run)) {
        let [a, b, c, d, e, f] = starts.map(|start| &x[start + r * row..][..run]);
        for (k, weights) in weights.iter().enumerate() {
            let x = [a[k], b[k], c[k], d[k], e[k], f[k]];
            for (sums, x) in sums.iter_mut().zip(x) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = x.mul_add(*weight, *sum);
                }
            }
        }
    }
    sums
}
