//! Batch norm fused with residual and ReLU: statistics of groups of rows, then of all rows, then
//! the elements. Likewise backward.

use tensor::Slot;
use tensor::geometry::BatchNorm;
use tensor::order::{WIDE, group_rows, rows_at_once};

use crate::Gpu;
use crate::gpu::{BLOCK, Call, WARP, blocks};

const MODULE: &str = "batch_norm";

/// Rows per block in the elementwise kernels. In a block 32 channels wide a thread has an eighth of
/// them and reads its channel's parameters once.
fn rows_per_block(rows: usize) -> usize {
    (rows / 512).clamp(64, 512)
}

/// Groups of rows for the sums.
fn groups(norm: BatchNorm) -> usize {
    norm.rows.div_ceil(group_rows(norm.channels))
}

/// Elements of scratch memory: two sums `[C]` per group of rows.
pub fn workspace(norm: BatchNorm) -> usize {
    2 * groups(norm) * norm.channels
}

/// Launches a kernel with a thread for each channel and chain of each group.
fn each_group(call: Call, norm: BatchNorm) {
    let grid = [blocks(groups(norm), 1), blocks(norm.channels, WIDE), 1];
    let block = [norm.channels.min(WIDE), rows_at_once(norm.channels), 1];
    call.launch(grid, block.map(|side| side as u32));
}

/// Launches an elementwise kernel.
fn each_element(call: Call, norm: BatchNorm) {
    let width = norm.channels.next_power_of_two().min(WARP) as u32;
    let parts = blocks(norm.rows, rows_per_block(norm.rows));
    let grid = [parts, blocks(norm.channels, width as usize), 1];
    call.launch(grid, [width, BLOCK / width, 1]);
}

/// y, and the statistics used.
pub fn forward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, weight, bias]: [Slot; 3],
    residual: Option<Slot>,
    [y, mean, inv_std, running_mean, running_var]: [Slot; 5],
    workspace: Slot,
) {
    let BatchNorm { rows, channels, eps, momentum, .. } = norm;
    let (groups, per_group) = (groups(norm), group_rows(channels));
    if norm.training {
        let call = gpu.kernel(MODULE, "statistics").slots(&[x, workspace]);
        each_group(call.counts(&[rows, channels, per_group]), norm);
        let slots = [workspace, mean, inv_std, running_mean, running_var];
        let call = gpu.kernel(MODULE, "finish_statistics").slots(&slots);
        let call = call.counts(&[rows, channels, per_group, groups]).floats(&[eps, momentum]);
        call.each_element(channels);
    } else {
        let slots = [running_mean, running_var, mean, inv_std];
        let call = gpu.kernel(MODULE, "take_running").slots(&slots);
        call.counts(&[channels]).floats(&[eps]).each_element(channels);
    }
    apply(gpu, norm, [x, weight, bias, mean, inv_std], residual, y);
}

/// y from the statistics to use.
pub fn apply(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, weight, bias, mean, inv_std]: [Slot; 5],
    residual: Option<Slot>,
    y: Slot,
) {
    let BatchNorm { rows, channels, .. } = norm;
    let call = gpu.kernel(MODULE, "normalise").slots(&[x]).optional(residual);
    let call = call.slots(&[weight, bias, mean, inv_std, y]);
    let call = call.counts(&[rows, channels, rows_per_block(rows)]).words(&[norm.relu.into()]);
    each_element(call, norm);
}

/// The gradients; `dresidual` only with a ReLU.
pub fn backward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, y, dy, weight, mean, inv_std]: [Slot; 6],
    [dx, dweight, dbias]: [Slot; 3],
    dresidual: Option<Slot>,
    workspace: Slot,
) {
    let BatchNorm { rows, channels, relu, .. } = norm;
    let call = gpu.kernel(MODULE, "sum_gradients").slots(&[x, y, dy, mean, workspace]);
    let call = call.optional(dresidual).counts(&[rows, channels, group_rows(channels)]);
    each_group(call.words(&[relu.into()]), norm);

    let call = gpu.kernel(MODULE, "finish_gradients").slots(&[workspace, inv_std, dweight, dbias]);
    call.counts(&[channels, groups(norm)]).each_element(channels);

    // dresidual already is dy through the ReLU.
    let (dy, relu) = dresidual.map_or((dy, relu), |dresidual| (dresidual, false));
    let slots = [x, y, dy, weight, mean, inv_std, dweight, dbias, dx];
    let call = gpu.kernel(MODULE, "gradient").slots(&slots);
    let call = call.counts(&[rows, channels, rows_per_block(rows)]);
    each_element(call.words(&[norm.training.into(), relu.into()]), norm);
}
