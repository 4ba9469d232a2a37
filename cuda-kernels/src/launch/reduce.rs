//! Sums in the orders of [`tensor::order`].

use tensor::Slot;
use tensor::kernel::MOST_SCALARS;
use tensor::order::{CHUNK, part_rows};

use super::gemm;
use crate::Gpu;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "reduce";
/// Maximum depth in a tree of the nodes that blocks sum.
const DEPTH: u32 = 10;
/// Elements that a block looks at: `CHECKED` in `kernels/reduce.cu`.
const CHECKED: usize = 8192;

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

/// `report[0]` = 1 if an element of a scalar, of x in its ranges or of the plain z is infinite or NaN,
/// else 0; the scalars follow.
pub fn non_finite_check(
    gpu: &mut Gpu,
    scalars: &[Slot],
    flat: impl Iterator<Item = (Slot, Slot)>,
    plain: &[Slot],
    report: Slot,
) {
    assert!(scalars.len() <= MOST_SCALARS, "{} scalars", scalars.len());
    let scalar = |place: usize| scalars.get(place).copied();
    let call = (0..MOST_SCALARS)
        .fold(gpu.kernel(MODULE, "check_scalars"), |call, place| call.optional(scalar(place)));
    call.slots(&[report]).each_row(1, 1);
    let flat = flat.map(|(x, ranges)| (x, Some(ranges)));
    for (x, ranges) in flat.chain(plain.iter().map(|&x| (x, None))) {
        let call = gpu.kernel(MODULE, "check_finite").slots(&[x]).optional(ranges);
        let tensors = ranges.map_or(0, |ranges| ranges.len / 2);
        let call = call.slots(&[report]).counts(&[x.len, tensors]);
        call.launch([blocks(x.len, CHECKED), 1, 1], [BLOCK, 1, 1]);
    }
}

/// Whether all elements of x are finite, 1 if not, in the shared scratch memory.
pub fn not_finite(gpu: &mut Gpu, x: Slot) -> Slot {
    let report = gpu.scratch().part(0, 1);
    non_finite_check(gpu, &[], std::iter::empty(), &[x], report);
    report
}
