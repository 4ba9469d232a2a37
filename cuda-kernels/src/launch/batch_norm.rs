//! Batch norm fused with residual and ReLU: statistics of groups of rows, then of all rows, then
//! the elements. Likewise backward.

use tensor::Slot;
use tensor::geometry::BatchNorm;

use super::reduce::{rows_per_part, tile, tile_grid};
use crate::Gpu;
use crate::gpu::{BLOCK, Call};

const MODULE: &str = "batch_norm";

/// Rows per block in the elementwise kernels. In a block 32 channels wide a thread has an eighth of
/// them and reads its channel's parameters once.
fn rows_per_block(rows: usize) -> usize {
    (rows / 512).clamp(64, 512)
}

/// Groups of rows for the sums.
fn groups(norm: BatchNorm) -> usize {
    norm.rows.div_ceil(rows_per_part(norm.rows))
}

/// Elements of scratch memory: two sums `[C]` per group of rows.
pub fn workspace(norm: BatchNorm) -> usize {
    2 * groups(norm) * norm.channels
}

/// Launches a kernel with `threads` threads for each of `parts` parts of the rows and each tile of
/// channels.
fn launch(call: Call, norm: BatchNorm, parts: usize, threads: u32) {
    call.launch(tile_grid(parts, norm.channels), tile(norm.channels, threads));
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
    let (parts, per_part, per_block) = (groups(norm), rows_per_part(rows), rows_per_block(rows));
    if norm.training {
        let call = gpu.kernel(MODULE, "statistics").slots(&[x, workspace]);
        launch(call.counts(&[rows, channels, per_part]), norm, parts, BLOCK);
        let slots = [workspace, mean, inv_std, running_mean, running_var];
        let call = gpu.kernel(MODULE, "finish_statistics").slots(&slots);
        let call = call.counts(&[rows, channels, per_part, parts]).floats(&[eps, momentum]);
        launch(call, norm, 1, 4 * BLOCK);
    } else {
        let slots = [running_mean, running_var, mean, inv_std];
        let call = gpu.kernel(MODULE, "take_running").slots(&slots);
        call.counts(&[channels]).floats(&[eps]).each_element(channels);
    }
    let call = gpu.kernel(MODULE, "normalise").slots(&[x]).optional(residual);
    let call = call.slots(&[weight, bias, mean, inv_std, y]);
    let call = call.counts(&[rows, channels, per_block]).words(&[norm.relu.into()]);
    launch(call, norm, rows.div_ceil(per_block), BLOCK);
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
    let (parts, per_part, per_block) = (groups(norm), rows_per_part(rows), rows_per_block(rows));
    let call = gpu.kernel(MODULE, "sum_gradients").slots(&[x, y, dy, mean, workspace]);
    let call = call.optional(dresidual).counts(&[rows, channels, per_part]);
    launch(call.words(&[relu.into()]), norm, parts, BLOCK);

    let call = gpu.kernel(MODULE, "finish_gradients").slots(&[workspace, inv_std, dweight, dbias]);
    launch(call.counts(&[channels, parts]), norm, 1, 4 * BLOCK);

    // dresidual already is dy through the ReLU.
    let (dy, relu) = dresidual.map_or((dy, relu), |dresidual| (dresidual, false));
    // Running statistics are constants: no gradient flows through them.
    let share = if norm.training { 1.0 / rows as f32 } else { 0.0 };
    let slots = [x, y, dy, weight, mean, inv_std, dweight, dbias, dx];
    let call = gpu.kernel(MODULE, "gradient").slots(&slots);
    let call = call.counts(&[rows, channels, per_block]).floats(&[share]).words(&[relu.into()]);
    launch(call, norm, rows.div_ceil(per_block), BLOCK);
}
