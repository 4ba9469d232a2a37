//! `Y = patches(X) W^T`.

use rayon::prelude::*;

use super::patches::gather;
use super::{TASKS, deal, is_plain_gemm};
use crate::cpu::gemm::{self, Strides, sgemm};
use crate::geometry::{Conv2d, Gemm};

fn as_gemm(conv: Conv2d) -> Gemm {
    Gemm { m: conv.rows(), n: conv.o, k: conv.c, trans_a: false, trans_b: true }
}

/// Elements of scratch memory for [`forward`]: a chunk of patches per task.
pub fn forward_workspace(conv: Conv2d) -> usize {
    if is_plain_gemm(conv) {
        return gemm::workspace(as_gemm(conv));
    }
    let (chunk, per_task) = deal(conv.rows(), conv.patch(), TASKS);
    conv.rows().div_ceil(per_task) * chunk * conv.patch()
}

/// Convolution of x `[N,H,W,C]` with weight `[O,R,S,C]` into y `[N,P,Q,O]`.
pub fn forward(conv: Conv2d, x: &[f32], weight: &[f32], y: &mut [f32], workspace: &mut [f32]) {
    if is_plain_gemm(conv) {
        return gemm::gemm(as_gemm(conv), x, weight, y, workspace);
    }
    let (k, o) = (conv.patch(), conv.o);
    let (chunk, per_task) = deal(conv.rows(), k, TASKS);
    let by_patch = Strides::new(k, false);
    let by_weight = Strides::new(k, true);
    y.par_chunks_mut(per_task * o).zip(workspace.par_chunks_mut(chunk * k)).enumerate().for_each(
        |(task, (y, patches))| {
            let mut first = task * per_task;
            for y in y.chunks_mut(chunk * o) {
                let rows = y.len() / o;
                let patches = &mut patches[..rows * k];
                gather(conv, x, first, patches);
                sgemm((rows, k, o), (patches, by_patch), (weight, by_weight), 0.0, y);
                first += rows;
            }
        },
    );
}
