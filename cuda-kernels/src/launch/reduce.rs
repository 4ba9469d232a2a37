//! Sums in fixed trees. Every size below depends on the shape alone, so the same data always gives
//! the same bits, on any card.

use tensor::{Backend, Slot};

use crate::Gpu;
use crate::driver::{Arg, Launch};
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "reduce";
/// Most blocks, and so partial sums, of a sum over everything.
pub const PARTS: usize = 1024;

/// Blocks that add up `elements` numbers: at least eight elements for each thread.
pub fn parts(elements: usize) -> usize {
    elements.div_ceil(8 * BLOCK as usize).clamp(1, PARTS)
}

/// Threads for a row of `columns` numbers: about four numbers each, one warp to 512 threads.
pub fn row_threads(columns: usize) -> u32 {
    (columns / 4).next_power_of_two().clamp(32, 512) as u32
}

/// The shape of a 2-D block over columns, `[x, y]`: up to 32 threads on columns next to each other.
pub fn tile(columns: usize, threads: u32) -> [u32; 3] {
    let width = columns.next_power_of_two().min(32) as u32;
    [width, threads / width, 1]
}

/// Blocks that such tiles take: parts of the rows times tiles of the columns.
pub fn tile_grid(parts: usize, columns: usize) -> [u32; 3] {
    [blocks(parts, 1), blocks(columns, tile(columns, BLOCK)[0] as usize), 1]
}

/// Rows that one block adds up, of `rows` in all: few enough that small sums still fill a card,
/// many enough that the partial sums are small beside x.
pub fn rows_per_part(rows: usize) -> usize {
    (rows / 64).clamp(64, 1024)
}

/// See [`Backend::all_finite`].
pub fn all_finite(gpu: &mut Gpu, x: Slot) -> bool {
    let count = gpu.scratch().part(PARTS, 1);
    sum_with(gpu, "count_not_finite", 1.0, x, count);
    let mut faulty = [0.0];
    gpu.read(count, &mut faulty);
    faulty == [0.0]
}

/// See [`Backend::sum_rows`].
pub fn sum_rows(gpu: &mut Gpu, x: Slot, y: Slot, workspace: Slot) {
    let (rows, columns) = (x.len / y.len, y.len);
    let per_part = rows_per_part(rows);
    let parts = rows.div_ceil(per_part);
    if parts == 1 {
        return sum_rows_once(gpu, x, y, rows, columns, rows, BLOCK);
    }
    sum_rows_once(gpu, x, workspace, rows, columns, per_part, BLOCK);
    sum_rows_once(gpu, workspace, y, parts, columns, parts, 4 * BLOCK);
}

fn sum_rows_once(
    gpu: &mut Gpu,
    x: Slot,
    y: Slot,
    rows: usize,
    columns: usize,
    per_part: usize,
    threads: u32,
) {
    let args = [
        gpu.pointer(x),
        gpu.pointer(y),
        Arg::Count(rows),
        Arg::Count(columns),
        Arg::Count(per_part),
    ];
    gpu.launch(Launch {
        module: MODULE,
        kernel: "sum_rows",
        grid: tile_grid(rows.div_ceil(per_part), columns),
        block: tile(columns, threads),
        shared_bytes: 0,
        args: &args,
    });
}

/// See [`Backend::sum_rows_workspace`].
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize {
    rows.div_ceil(rows_per_part(rows)) * columns
}

/// See [`Backend::sum_columns`].
pub fn sum_columns(gpu: &mut Gpu, columns: usize, x: Slot, y: Slot) {
    let args = [gpu.pointer(x), gpu.pointer(y), Arg::Count(columns)];
    gpu.launch_rows(MODULE, "sum_columns", y.len, row_threads(columns), &args);
}

/// See [`Backend::sum_columns_backward`].
pub fn sum_columns_backward(gpu: &mut Gpu, columns: usize, dy: Slot, dx: Slot) {
    let args = [gpu.pointer(dy), gpu.pointer(dx), Arg::Count(dx.len), Arg::Count(columns)];
    gpu.launch_elements(MODULE, "sum_columns_backward", dx.len, &args);
}

/// See [`Backend::sum`].
pub fn sum(gpu: &mut Gpu, alpha: f32, x: Slot, y: Slot) {
    sum_with(gpu, "sum_parts", alpha, x, y);
}

/// y = alpha times the sum of what `kernel` makes of each part of x.
fn sum_with(gpu: &mut Gpu, kernel: &'static str, alpha: f32, x: Slot, y: Slot) {
    let count = parts(x.len);
    let sums = gpu.scratch().part(0, count);
    let args = [gpu.pointer(x), gpu.pointer(sums), Arg::Count(x.len)];
    gpu.launch_rows(MODULE, kernel, count, BLOCK, &args);
    let args = [Arg::F32(alpha), gpu.pointer(sums), gpu.pointer(y), Arg::Count(count)];
    gpu.launch_rows(MODULE, "sum_of_parts", 1, BLOCK, &args);
}
