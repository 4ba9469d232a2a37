//! `dW = dY^T patches(X)`: a sum over all output pixels, split into parts that are added in order.

use rayon::prelude::*;

use super::chunks::{CHUNK, is_plain_gemm, most_parts};
use super::patches::gather;
use super::winograd::{F2, F4, winograd_grad_weight, winograd_grad_weight_workspace};
use crate::cpu::gemm::{self, Strides, sgemm};
use crate::cpu::isa::Isa;
use crate::cpu::reduce;
use crate::geometry::{Conv2d, ConvAlgorithm, Gemm};

fn as_gemm(conv: Conv2d) -> Gemm {
    Gemm { m: conv.o, n: conv.c, k: conv.rows(), trans_a: true, trans_b: false }
}

fn parts(conv: Conv2d) -> usize {
    most_parts(conv.o * conv.patch())
}

/// How rows are distributed: (rows per chunk, rows per task, a multiple of the former).
fn deal(rows: usize, row_len: usize, tasks: usize) -> (usize, usize) {
    let chunk = (CHUNK / row_len.max(1)).clamp(32, 1024).min(rows.div_ceil(tasks)).max(1);
    let chunks_per_task = rows.div_ceil(chunk).div_ceil(tasks);
    (chunk, chunk * chunks_per_task)
}

/// Elements of scratch memory for [`grad_weight`]: per part a gradient and a chunk of patches.
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    if is_plain_gemm(conv) {
        return gemm::workspace(as_gemm(conv));
    }
    match conv.algorithm {
        ConvAlgorithm::Direct => {}
        ConvAlgorithm::Winograd2 => return winograd_grad_weight_workspace::<F2, _, _>(conv),
        ConvAlgorithm::Winograd4 => return winograd_grad_weight_workspace::<F4, _, _>(conv),
    }
    let (chunk, per_task) = deal(conv.rows(), conv.patch(), parts(conv));
    conv.rows().div_ceil(per_task) * (conv.o + chunk) * conv.patch()
}

/// Gradient by the weight: x `[N,H,W,C]` and dy `[N,P,Q,O]` to dweight `[O,R,S,C]`.
pub fn grad_weight(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    workspace: &mut [f32],
) {
    if is_plain_gemm(conv) {
        return gemm::gemm(as_gemm(conv), dy, x, dweight, workspace);
    }
    match conv.algorithm {
        ConvAlgorithm::Direct => {}
        ConvAlgorithm::Winograd2 => {
            return winograd_grad_weight::<F2, _, _>(isa, conv, x, dy, dweight, workspace);
        }
        ConvAlgorithm::Winograd4 => {
            return winograd_grad_weight::<F4, _, _>(isa, conv, x, dy, dweight, workspace);
        }
    }
    let (k, o, rows) = (conv.patch(), conv.o, conv.rows());
    let (chunk, per_task) = deal(rows, k, parts(conv));
    let (partials, patches) = workspace.split_at_mut(rows.div_ceil(per_task) * o * k);
    let by_pixel = Strides::new(o, true);
    let by_patch = Strides::new(k, false);
    partials.par_chunks_mut(o * k).zip(patches.par_chunks_mut(chunk * k)).enumerate().for_each(
        |(task, (partial, patches))| {
            let end = rows.min((task + 1) * per_task);
            let mut beta = 0.0;
            for first in (task * per_task..end).step_by(chunk) {
                let rows = chunk.min(end - first);
                let patches = &mut patches[..rows * k];
                gather(conv, x, first, patches);
                let dy = &dy[first * o..];
                sgemm((o, rows, k), (dy, by_pixel), (patches, by_patch), beta, partial);
                beta = 1.0;
            }
        },
    );
    reduce::sum_parts(partials, dweight);
}
