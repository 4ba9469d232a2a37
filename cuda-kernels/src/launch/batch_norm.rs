//! Batch norm fused with residual and ReLU: statistics of groups of rows, of all rows, and then the
//! elements. Backward likewise.

use tensor::Slot;
use tensor::backend::{BatchNorm, BatchNormSlots};

use super::reduce::{rows_per_part, tile, tile_grid};
use crate::Gpu;
use crate::driver::{Arg, Launch};
use crate::gpu::BLOCK;

const MODULE: &str = "batch_norm";
/// Rows of a group in the kernels that go over the elements: eight for each thread of a block that
/// is 32 channels wide.
const GROUP: usize = 64;

/// Groups of rows for the sums.
fn groups(norm: BatchNorm) -> usize {
    norm.rows.div_ceil(rows_per_part(norm.rows))
}

/// Launches a kernel with `threads` threads for each of `parts` parts of the rows and each tile of
/// channels.
fn launch(
    gpu: &mut Gpu,
    kernel: &'static str,
    norm: BatchNorm,
    parts: usize,
    threads: u32,
    args: &[Arg],
) {
    gpu.launch(Launch {
        module: MODULE,
        kernel,
        grid: tile_grid(parts, norm.channels),
        block: tile(norm.channels, threads),
        shared_bytes: 0,
        args,
    });
}

/// See [`Backend::batch_norm_workspace`](tensor::Backend::batch_norm_workspace).
pub fn batch_norm_workspace(norm: BatchNorm) -> usize {
    2 * groups(norm) * norm.channels
}

/// See [`Backend::batch_norm`](tensor::Backend::batch_norm).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm(
    gpu: &mut Gpu,
    norm: BatchNorm,
    x: Slot,
    residual: Option<Slot>,
    slots: BatchNormSlots,
    y: Slot,
    mean: Slot,
    inv_std: Slot,
    workspace: Slot,
) {
    let BatchNormSlots { running_mean, running_var, .. } = slots;
    let sizes = [norm.rows, norm.channels, rows_per_part(norm.rows)].map(Arg::Count);
    let args = [&[gpu.pointer(x), gpu.pointer(workspace)], &sizes[..]].concat();
    launch(gpu, "statistics", norm, groups(norm), BLOCK, &args);
    let pointers =
        [workspace, mean, inv_std, running_mean, running_var].map(|slot| gpu.pointer(slot));
    let constants = [Arg::Count(groups(norm)), Arg::F32(norm.eps), Arg::F32(norm.momentum)];
    let args = [&pointers[..], &sizes, &constants].concat();
    launch(gpu, "finish_statistics", norm, 1, 4 * BLOCK, &args);
    normalise(gpu, norm, x, residual, slots, mean, inv_std, y);
}

/// See [`Backend::batch_norm_inference`](tensor::Backend::batch_norm_inference).
pub fn batch_norm_inference(
    gpu: &mut Gpu,
    norm: BatchNorm,
    x: Slot,
    residual: Option<Slot>,
    slots: BatchNormSlots,
    y: Slot,
    inv_std: Slot,
) {
    let pointers = [slots.running_var, inv_std].map(|slot| gpu.pointer(slot));
    let args = [&pointers[..], &[Arg::Count(norm.channels), Arg::F32(norm.eps)]].concat();
    gpu.launch_elements(MODULE, "inverse_std", norm.channels, &args);
    normalise(gpu, norm, x, residual, slots, slots.running_mean, inv_std, y);
}

#[allow(clippy::too_many_arguments)]
fn normalise(
    gpu: &mut Gpu,
    norm: BatchNorm,
    x: Slot,
    residual: Option<Slot>,
    slots: BatchNormSlots,
    mean: Slot,
    inv_std: Slot,
    y: Slot,
) {
    let inputs = [slots.weight, slots.bias, mean, inv_std, y].map(|slot| gpu.pointer(slot));
    let sizes = [norm.rows, norm.channels, GROUP].map(Arg::Count);
    let first = [gpu.pointer(x), gpu.optional(residual)];
    let args = [&first[..], &inputs, &sizes, &[Arg::U32(norm.relu.into())]].concat();
    launch(gpu, "normalise", norm, norm.rows.div_ceil(GROUP), BLOCK, &args);
}

/// See [`Backend::batch_norm_backward`](tensor::Backend::batch_norm_backward).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_backward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    x: Slot,
    y: Slot,
    dy: Slot,
    weight: Slot,
    mean: Slot,
    inv_std: Slot,
    dx: Slot,
    dweight: Slot,
    dbias: Slot,
    dresidual: Option<Slot>,
    workspace: Slot,
) {
    let share = 1.0 / norm.rows as f32;
    let inputs = [x, y, dy, weight, mean, inv_std];
    backward(gpu, norm, share, inputs, [dx, dweight, dbias], dresidual, workspace);
}

/// See [`Backend::batch_norm_inference_backward`](tensor::Backend::batch_norm_inference_backward).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_inference_backward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    x: Slot,
    y: Slot,
    dy: Slot,
    weight: Slot,
    running_mean: Slot,
    inv_std: Slot,
    dx: Slot,
    dweight: Slot,
    dbias: Slot,
    dresidual: Option<Slot>,
    workspace: Slot,
) {
    let inputs = [x, y, dy, weight, running_mean, inv_std];
    backward(gpu, norm, 0.0, inputs, [dx, dweight, dbias], dresidual, workspace);
}

/// The gradients; `share` is 1/rows where the statistics depend on x, 0 where they are constants.
fn backward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    share: f32,
    [x, y, dy, weight, mean, inv_std]: [Slot; 6],
    [dx, dweight, dbias]: [Slot; 3],
    dresidual: Option<Slot>,
    workspace: Slot,
) {
    let relu = Arg::U32(norm.relu.into());
    let pointers = [x, y, dy, mean, workspace].map(|slot| gpu.pointer(slot));
    let sizes = [norm.rows, norm.channels, rows_per_part(norm.rows)].map(Arg::Count);
    let args = [&pointers[..], &[gpu.optional(dresidual)], &sizes, &[relu]].concat();
    launch(gpu, "sum_gradients", norm, groups(norm), BLOCK, &args);

    let pointers = [workspace, inv_std, dweight, dbias].map(|slot| gpu.pointer(slot));
    let args = [&pointers[..], &[norm.channels, groups(norm)].map(Arg::Count)].concat();
    launch(gpu, "finish_gradients", norm, 1, 4 * BLOCK, &args);

    // dresidual is dy behind the ReLU already.
    let (dy, relu) = dresidual.map_or((dy, relu), |dresidual| (dresidual, Arg::U32(0)));
    let pointers =
        [x, y, dy, weight, mean, inv_std, dweight, dbias, dx].map(|slot| gpu.pointer(slot));
    let sizes = [norm.rows, norm.channels, GROUP].map(Arg::Count);
    let args = [&pointers[..], &sizes, &[Arg::F32(share), relu]].concat();
    launch(gpu, "gradient", norm, norm.rows.div_ceil(GROUP), BLOCK, &args);
}
