//! Convolution as implicit GEMM over channels-last pixels.
//!
//! `Y[NPQ, O] = X_patches[NPQ, RSC] W^T[RSC, O]`: a row of patches holds the R x S x C numbers that
//! one output pixel reads. Patches are made chunk by chunk of rows, small enough to stay in L2,
//! and never exist as a whole. A fixed number of tasks, each with scratch memory of its own, share
//! the chunks.

mod forward;
mod grad_input;
mod grad_weight;
mod patches;

pub use forward::{forward, forward_workspace};
pub use grad_input::{grad_input, grad_input_workspace};
pub use grad_weight::{grad_weight, grad_weight_workspace};

use crate::geometry::Conv2d;

/// Elements of a chunk of patches: half a megabyte, half of a core's L2.
const CHUNK: usize = 128 * 1024;
/// Tasks that share the chunks.
const TASKS: usize = 16;

/// A 1x1 convolution that reads every pixel: its patches are the input itself.
fn is_plain_gemm(conv: Conv2d) -> bool {
    conv.r == 1 && conv.s == 1 && conv.stride == 1 && conv.padding == 0
}

/// How rows are dealt out: (rows in a chunk, rows of a task, a multiple of the former).
fn deal(rows: usize, row_len: usize, tasks: usize) -> (usize, usize) {
    let chunk = (CHUNK / row_len.max(1)).clamp(32, 1024).min(rows.div_ceil(tasks)).max(1);
    let chunks_per_task = rows.div_ceil(chunk).div_ceil(tasks);
    (chunk, chunk * chunks_per_task)
}
