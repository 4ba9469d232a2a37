//! LARS over many tensors together: nodes of the trees of squares, then each tensor's trust ratio,
//! then the step.

use tensor::Slot;

use crate::Gpu;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "optimizer";
/// Maximum blocks per tensor: `PARTS` in `kernels/optimizer.cu`.
const PARTS: usize = 128;

/// Elements of scratch memory for [`lars`]: per tensor two sums per part, in f64, and its trust ratio.
pub fn workspace(tensors: usize) -> usize {
    tensors * (4 * PARTS + 1)
}

/// One step for all tensors.
pub fn lars(
    gpu: &mut Gpu,
    [momentum, eta]: [f32; 2],
    [grad, lr, wd, ranges]: [Slot; 4],
    guard: Option<Slot>,
    [w, buffer]: [Slot; 2],
    workspace: Slot,
) {
    let tensors = ranges.len / 2;
    let sums = workspace.part(0, tensors * 4 * PARTS);
    let trust = workspace.part(sums.len, tensors);
    let grid = [PARTS as u32, blocks(tensors, 1), 1];

    let call = gpu.kernel(MODULE, "lars_norms").slots(&[grad, wd, ranges, w, sums]);
    call.launch(grid, [BLOCK, 1, 1]);
    let call = gpu.kernel(MODULE, "lars_trust").floats(&[eta]).slots(&[sums, trust]);
    call.counts(&[tensors]).each_element(tensors);
    let call = gpu.kernel(MODULE, "lars").floats(&[momentum]);
    let call = call.slots(&[grad, lr, wd, ranges]).optional(guard).slots(&[trust, w, buffer]);
    call.launch(grid, [BLOCK, 1, 1]);
}
