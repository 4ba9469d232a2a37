//! Rows and columns by index.

use tensor::Slot;

use super::reduce::row_threads;
use crate::Gpu;
use crate::driver::Arg;
use crate::gpu::BLOCK;

const MODULE: &str = "gather";
/// Threads of a warp.
const WARP: usize = 32;

/// See [`Backend::gather_rows`](tensor::Backend::gather_rows).
pub fn gather_rows(gpu: &mut Gpu, columns: usize, x: Slot, index: Slot, y: Slot) {
    let [px, pindex, py] = [x, index, y].map(|slot| gpu.pointer(slot));
    let args = [px, pindex, py, Arg::Count(y.len), Arg::Count(columns)];
    gpu.launch_elements(MODULE, "gather_rows", y.len, &args);
}

/// See [`Backend::scatter_add_rows`](tensor::Backend::scatter_add_rows).
pub fn scatter_add_rows(gpu: &mut Gpu, columns: usize, dy: Slot, index: Slot, dx: Slot) {
    let rows = dx.len / columns;
    let [pdy, pindex, pdx] = [dy, index, dx].map(|slot| gpu.pointer(slot));
    let [rows_arg, columns, count] = [rows, columns, index.len].map(Arg::Count);
    let args = [pdy, pindex, pdx, rows_arg, columns, count];
    let blocks = rows.div_ceil(BLOCK as usize / WARP);
    gpu.launch_rows(MODULE, "scatter_add_rows", blocks, BLOCK, &args);
}

/// See [`Backend::gather_columns`](tensor::Backend::gather_columns).
pub fn gather_columns(gpu: &mut Gpu, columns: usize, x: Slot, index: Slot, y: Slot) {
    let used = y.len / (x.len / columns);
    let [px, pindex, py] = [x, index, y].map(|slot| gpu.pointer(slot));
    let [n, columns, used] = [y.len, columns, used].map(Arg::Count);
    gpu.launch_elements(MODULE, "gather_columns", y.len, &[px, pindex, py, n, columns, used]);
}

/// See [`Backend::gather_columns_backward`](tensor::Backend::gather_columns_backward).
pub fn gather_columns_backward(gpu: &mut Gpu, columns: usize, dy: Slot, index: Slot, dx: Slot) {
    let rows = dx.len / columns;
    let [pdy, pindex, pdx] = [dy, index, dx].map(|slot| gpu.pointer(slot));
    let args = [pdy, pindex, pdx, Arg::Count(columns), Arg::Count(dy.len / rows)];
    gpu.launch_rows(MODULE, "gather_columns_backward", rows, row_threads(columns), &args);
}
