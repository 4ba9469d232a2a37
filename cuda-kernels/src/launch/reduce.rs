//! Sums in fixed trees. Every size below depends only on the shape, so the same data gives the same
//! bits on any GPU.

use tensor::Slot;

use crate::Gpu;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "reduce";
/// Maximum blocks, and thus partial sums, of a sum over everything.
const PARTS: usize = 1024;

/// Threads for a row of `columns` numbers: about four numbers each, one warp to 512 threads.
pub fn row_threads(columns: usize) -> u32 {
    (columns / 4).next_power_of_two().clamp(32, 512) as u32
}

/// The shape of a 2-D block over columns, `[x, y]`: up to 32 threads on adjacent columns.
pub fn tile(columns: usize, threads: u32) -> [u32; 3] {
    let width = columns.next_power_of_two().min(32) as u32;
    [width, threads / width, 1]
}

/// Blocks for such tiles: parts of the rows times tiles of the columns.
pub fn tile_grid(parts: usize, columns: usize) -> [u32; 3] {
    [blocks(parts, 1), blocks(columns, tile(columns, BLOCK)[0] as usize), 1]
}

/// Rows per block, out of `rows`: few enough that small sums still fill a GPU, many enough that the
/// partial sums are small compared with x.
pub fn rows_per_part(rows: usize) -> usize {
    (rows / 64).clamp(64, 1024)
}

/// Elements of scratch memory for [`sum_rows`].
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize {
    rows.div_ceil(rows_per_part(rows)) * columns
}

/// y = sums over the rows of x, which has as many columns as y.
pub fn sum_rows(gpu: &mut Gpu, x: Slot, y: Slot, workspace: Slot) {
    let (rows, columns) = (x.len / y.len, y.len);
    let mut pass = |[x, y]: [Slot; 2], rows: usize, per_part: usize, threads: u32| {
        let call = gpu.kernel(MODULE, "sum_rows").slots(&[x, y]);
        let call = call.counts(&[rows, columns, per_part]);
        call.launch(tile_grid(rows.div_ceil(per_part), columns), tile(columns, threads));
    };
    let per_part = rows_per_part(rows);
    let parts = rows.div_ceil(per_part);
    if parts == 1 {
        return pass([x, y], rows, rows, BLOCK);
    }
    pass([x, workspace], rows, per_part, BLOCK);
    pass([workspace, y], parts, parts, 4 * BLOCK);
}

/// y = alpha times the sum of x.
pub fn sum(gpu: &mut Gpu, alpha: f32, x: Slot, y: Slot) {
    sum_with(gpu, "sum_parts", alpha, x, y);
}

/// The number of infinite or NaN elements: a scalar in the shared scratch memory.
pub fn count_not_finite(gpu: &mut Gpu, x: Slot) -> Slot {
    let count = gpu.scratch().part(PARTS, 1);
    sum_with(gpu, "count_not_finite", 1.0, x, count);
    count
}

/// y = alpha times the sum of `kernel`'s result for each part of x.
fn sum_with(gpu: &mut Gpu, kernel: &'static str, alpha: f32, x: Slot, y: Slot) {
    // At least eight elements per thread.
    let count = x.len.div_ceil(8 * BLOCK as usize).clamp(1, PARTS);
    let sums = gpu.scratch().part(0, count);
    gpu.kernel(MODULE, kernel).slots(&[x, sums]).counts(&[x.len]).each_row(count, BLOCK);
    let call = gpu.kernel(MODULE, "sum_of_parts").floats(&[alpha]).slots(&[sums, y]);
    call.counts(&[count]).each_row(1, BLOCK);
}
