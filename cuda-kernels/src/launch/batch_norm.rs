//! Batch norm fused with residual and ReLU: statistics of groups of rows, then of all rows, then
//! the elements. Likewise backward.

use tensor::arena::DType;
use tensor::geometry::BatchNorm;
use tensor::order::{GROUP_CHAINS, group_rows, group_sums, rows_at_once};
use tensor::{Numerics, Slot};

use super::conv2d_tensor::TILE_ROWS;
use crate::Gpu;
use crate::gpu::{BLOCK, Call, WARP, blocks, in_fours};

const MODULE: &str = "batch_norm";

/// Rows of a group of sums that [`forward_from_sums`] has of a convolution, and how many groups there are.
pub fn group_of(rows: usize, channels: usize, numerics: Numerics) -> [usize; 2] {
    let group = match numerics {
        Numerics::Exact => group_rows(channels),
        _ => TILE_ROWS,
    };
    [group, rows.div_ceil(group)]
}

/// Elements of scratch memory: two sums `[C]` per group of rows.
pub fn workspace(norm: BatchNorm) -> usize {
    group_sums(norm.rows, norm.channels).elements()
}

/// The kernel for tensors of this type.
fn of_type(dtype: DType, f32: &'static str, bf16: &'static str) -> &'static str {
    if dtype == DType::Bf16 { bf16 } else { f32 }
}

/// Launches a kernel with a thread for each channel, or two of bf16, and chain of each group, and as many
/// words of shared memory as a group has of a block's threads if it `keeps` them.
fn each_group(call: Call, [rows, channels]: [usize; 2], dtype: DType, keeps: bool) {
    let chains = rows_at_once(channels);
    let threads = dtype.words(channels);
    let width = if chains > 1 { threads } else { threads.min(WARP) };
    let groups = group_sums(rows, channels)[0];
    let grid = [blocks(groups, 1), blocks(threads, width), 1];
    let kept = if keeps { 4 * group_rows(channels).min(rows) * width } else { 0 };
    call.shared(kept as u32).launch(grid, [width as u32, chains as u32, 1]);
}

/// Launches a kernel with a thread for each channel and chain of groups.
fn all_groups(call: Call, norm: BatchNorm) {
    let width = BLOCK / GROUP_CHAINS as u32;
    call.launch([blocks(norm.channels, width as usize), 1, 1], [width, GROUP_CHAINS as u32, 1]);
}

/// How an elementwise kernel is spread over threads.
struct Spread {
    /// Channels that a thread has: where they lie in whole groups of 16 bytes 4, or 8 of bf16, else 1.
    neighbours: usize,
    /// Threads of a block along the channels.
    width: usize,
    rows_per_block: usize,
}

impl Spread {
    fn of(norm: BatchNorm, slots: &[Slot]) -> Spread {
        let neighbours = match slots[0].dtype {
            DType::Bf16 => 8,
            _ if in_fours(&[norm.channels], slots) => 4,
            _ => 1,
        };
        let width = norm.channels.div_ceil(neighbours).next_power_of_two().min(WARP);
        // A thread has at least 8 rows, for which it reads its channels' parameters once.
        let at_once = BLOCK as usize / width;
        let rows_per_block = at_once * (norm.rows / 512 / at_once).clamp(8, 32);
        Spread { neighbours, width, rows_per_block }
    }

    /// The kernel for that many neighbours: of 1, 4, 8.
    fn kernel(&self, kernels: [&'static str; 3]) -> &'static str {
        match self.neighbours {
            1 => kernels[0],
            4 => kernels[1],
            _ => kernels[2],
        }
    }

    fn launch(&self, call: Call, norm: BatchNorm) {
        let Spread { neighbours, width, rows_per_block } = *self;
        let grid =
            [blocks(norm.rows, rows_per_block), blocks(norm.channels, width * neighbours), 1];
        call.launch(grid, [width as u32, BLOCK / width as u32, 1]);
    }
}

/// The sums of the groups of x `[rows, channels]`.
pub fn sums(gpu: &mut Gpu, [rows, channels]: [usize; 2], x: Slot, sums: Slot) {
    let kernel = of_type(x.dtype, "statistics", "statistics_bf16");
    let call = gpu.kernel(MODULE, kernel).slots(&[x, sums]);
    let call = call.counts(&[rows, channels, group_rows(channels)]);
    each_group(call, [rows, channels], x.dtype, true);
}

/// y, and the statistics used.
pub fn forward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, weight, bias]: [Slot; 3],
    residual: Option<Slot>,
    outputs: [Slot; 5],
    workspace: Slot,
) {
    let BatchNorm { rows, channels, eps, .. } = norm;
    if norm.training {
        sums(gpu, [rows, channels], x, workspace);
        let group = group_of(rows, channels, Numerics::Exact);
        let inputs = [x, weight, bias, workspace];
        return from_sums_of(gpu, norm, group, inputs, residual, outputs);
    }
    let [y, mean, inv_std, running_mean, running_var] = outputs;
    let slots = [running_mean, running_var, mean, inv_std];
    let call = gpu.kernel(MODULE, "take_running").slots(&slots);
    call.counts(&[channels]).floats(&[eps]).each_element(channels);
    apply(gpu, norm, [x, weight, bias, mean, inv_std], residual, y);
}

/// The same in training, from the sums of a convolution's result x.
pub fn forward_from_sums(
    gpu: &mut Gpu,
    norm: BatchNorm,
    inputs: [Slot; 4],
    residual: Option<Slot>,
    outputs: [Slot; 5],
) {
    let group = group_of(norm.rows, norm.channels, gpu.numerics());
    from_sums_of(gpu, norm, group, inputs, residual, outputs);
}

/// The same from the sums of groups of so many rows, and so many groups.
fn from_sums_of(
    gpu: &mut Gpu,
    norm: BatchNorm,
    group: [usize; 2],
    [x, weight, bias, sums]: [Slot; 4],
    residual: Option<Slot>,
    [y, mean, inv_std, running_mean, running_var]: [Slot; 5],
) {
    let BatchNorm { rows, channels, eps, momentum, .. } = norm;
    let slots = [sums, mean, inv_std, running_mean, running_var];
    let call = gpu.kernel(MODULE, "finish_statistics").slots(&slots);
    let call = call.counts(&[rows, channels]).counts(&group);
    all_groups(call.floats(&[eps, momentum]), norm);
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
    let spread = Spread::of(norm, &[x, residual.unwrap_or(y), y]);
    let kernel = spread.kernel(["normalise", "normalise_by_4", "normalise_bf16_by_8"]);
    let call = gpu.kernel(MODULE, kernel).slots(&[x]).optional(residual);
    let call = call.slots(&[weight, bias, mean, inv_std, y]);
    let call = call.counts(&[rows, channels, spread.rows_per_block]).words(&[norm.relu.into()]);
    spread.launch(call, norm);
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
    let masked_by = relu.then_some(y);
    sum_gradients(gpu, [rows, channels], [x, dy, mean], masked_by, dresidual, workspace);

    // dresidual already is dy through the ReLU.
    let (dy, relu) = dresidual.map_or((dy, relu), |dresidual| (dresidual, false));
    let norm = BatchNorm { relu, ..norm };
    let groups = group_sums(rows, channels)[0];
    let outputs = [dx, dweight, dbias];
    finish_backward(gpu, norm, [x, y, dy, weight, mean, inv_std], (workspace, groups), outputs);
}

/// The same from g, the gradient through the ReLU, and the sums of a convolution's groups of it.
pub fn backward_from_sums(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, g, weight, mean, inv_std, sums]: [Slot; 6],
    outputs: [Slot; 3],
) {
    let groups = sums.len / (2 * norm.channels);
    let norm = BatchNorm { relu: false, ..norm };
    finish_backward(gpu, norm, [x, x, g, weight, mean, inv_std], (sums, groups), outputs);
}

/// The sums of groups of rows of g and of g (x - mean), where g is dy behind the ReLU that is `masked_by` its
/// result. And g, if asked for: in dy's place, if need be.
pub fn sum_gradients(
    gpu: &mut Gpu,
    [rows, channels]: [usize; 2],
    [x, dy, mean]: [Slot; 3],
    masked_by: Option<Slot>,
    g: Option<Slot>,
    sums: Slot,
) {
    let kernel = of_type(x.dtype, "sum_gradients", "sum_gradients_bf16");
    let call = gpu.kernel(MODULE, kernel).slots(&[x, masked_by.unwrap_or(x), dy, mean, sums]);
    let call = call.optional(g).counts(&[rows, channels, group_rows(channels)]);
    let call = call.words(&[masked_by.is_some().into()]);
    each_group(call, [rows, channels], x.dtype, false);
}

/// The gradients from the sums of so many groups.
fn finish_backward(
    gpu: &mut Gpu,
    norm: BatchNorm,
    [x, y, dy, weight, mean, inv_std]: [Slot; 6],
    (sums, groups): (Slot, usize),
    [dx, dweight, dbias]: [Slot; 3],
) {
    let BatchNorm { rows, channels, relu, .. } = norm;
    let call = gpu.kernel(MODULE, "finish_gradients").slots(&[sums, inv_std, dweight, dbias]);
    all_groups(call.counts(&[channels, groups]), norm);

    let slots = [x, y, dy, weight, mean, inv_std, dweight, dbias, dx];
    let spread = Spread::of(norm, &[x, y, dy, dx]);
    let kernel = spread.kernel(["gradient", "gradient_by_4", "gradient_bf16_by_8"]);
    let call = gpu.kernel(MODULE, kernel).slots(&slots);
    let call = call.counts(&[rows, channels, spread.rows_per_block]);
    spread.launch(call.words(&[norm.training.into(), relu.into()]), norm);
}
