//! Rows of length 1: one block per row.

use tensor::Slot;

use super::reduce::row_threads;
use crate::Gpu;
use crate::driver::Arg;

const MODULE: &str = "normalize";

/// See [`Backend::l2_normalize`](tensor::Backend::l2_normalize).
pub fn l2_normalize(gpu: &mut Gpu, columns: usize, eps: f32, x: Slot, y: Slot, norm: Slot) {
    let [px, py, pnorm] = [x, y, norm].map(|slot| gpu.pointer(slot));
    let args = [Arg::F32(eps), px, py, pnorm, Arg::Count(columns)];
    gpu.launch_rows(MODULE, "l2_normalize", norm.len, row_threads(columns), &args);
}

/// See [`Backend::l2_normalize_backward`](tensor::Backend::l2_normalize_backward).
pub fn l2_normalize_backward(
    gpu: &mut Gpu,
    columns: usize,
    eps: f32,
    y: Slot,
    norm: Slot,
    dy: Slot,
    dx: Slot,
) {
    let [py, pnorm, pdy, pdx] = [y, norm, dy, dx].map(|slot| gpu.pointer(slot));
    let args = [Arg::F32(eps), py, pnorm, pdy, pdx, Arg::Count(columns)];
    gpu.launch_rows(MODULE, "l2_normalize_backward", norm.len, row_threads(columns), &args);
}
