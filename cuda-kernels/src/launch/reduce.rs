//! Sums in the orders of [`tensor::order`].

use tensor::Slot;
use tensor::order::{CHUNK, part_rows};

use super::gemm;
use crate::Gpu;
use crate::gpu::{BLOCK, WARP};

const MODULE: &str = "reduce";
/// Maximum depth in a tree of the nodes that blocks sum.
const DEPTH: u32 = 10;
/// Maximum blocks that look for numbers that are not finite.
const BLOCKS: usize = 512;

/// Elements of scratch memory for [`sum_rows`].
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize {
    rows.div_ceil(part_rows(columns)) * columns
}

/// y = sums over the rows of x, which has as many columns as y.
pub fn sum_rows(gpu: &mut Gpu, x: Slot, y: Slot, workspace: Slot) {
    let (rows, columns) = (x.len / y.len, y.len);
    let parts = rows.div_ceil(part_rows(columns));
    let call = gpu.kernel(MODULE, "sum_rows").slots(&[x, workspace]);
    let call = call.counts(&[parts * columns, rows, columns, part_rows(columns)]);
    call.each_element(parts * columns);
    gemm::sum_parts(gpu, parts, workspace.part(0, parts * columns), None, y);
}

/// y = alpha times the sum of x.
pub fn sum(gpu: &mut Gpu, alpha: f32, x: Slot, y: Slot) {
    let depth = x.len.div_ceil(CHUNK).next_power_of_two().ilog2().min(DEPTH);
    let nodes = gpu.scratch().part(0, 2 << depth);
    let call = gpu.kernel(MODULE, "sum_nodes").slots(&[x, nodes]).counts(&[x.len]);
    call.words(&[depth]).each_row(1 << depth, BLOCK);
    let call = gpu.kernel(MODULE, "sum_of_nodes").floats(&[alpha]).slots(&[nodes, y]);
    call.words(&[depth]).each_row(1, 1);
}

/// Numbers of infinite or NaN elements, in the shared scratch memory: none if all are 0.
pub fn count_not_finite(gpu: &mut Gpu, x: Slot) -> Slot {
    // At least eight elements per thread.
    let blocks = x.len.div_ceil(8 * BLOCK as usize).clamp(1, BLOCKS);
    let counts = gpu.scratch().part(0, blocks * BLOCK as usize / WARP);
    let call = gpu.kernel(MODULE, "count_not_finite").slots(&[x, counts]).counts(&[x.len]);
    call.each_row(blocks, BLOCK);
    counts
}
