//! Softmax of rows: one block per row.

use tensor::Slot;

use super::reduce::row_threads;
use crate::Gpu;
use crate::driver::Arg;

/// Launches `kernel(slots.., columns)` with one block for each row of the last slot.
fn each_row(gpu: &mut Gpu, kernel: &'static str, columns: usize, slots: &[Slot]) {
    let rows = slots.last().map_or(0, |y| y.len / columns);
    let mut args: Vec<Arg> = slots.iter().map(|&slot| gpu.pointer(slot)).collect();
    args.push(Arg::Count(columns));
    gpu.launch_rows("softmax", kernel, rows, row_threads(columns), &args);
}

/// See [`Backend::softmax`](tensor::Backend::softmax).
pub fn softmax(gpu: &mut Gpu, columns: usize, x: Slot, y: Slot) {
    each_row(gpu, "softmax", columns, &[x, y]);
}

/// See [`Backend::softmax_backward`](tensor::Backend::softmax_backward).
pub fn softmax_backward(gpu: &mut Gpu, columns: usize, y: Slot, dy: Slot, dx: Slot) {
    each_row(gpu, "softmax_backward", columns, &[y, dy, dx]);
}

/// See [`Backend::log_softmax`](tensor::Backend::log_softmax).
pub fn log_softmax(gpu: &mut Gpu, columns: usize, x: Slot, y: Slot) {
    each_row(gpu, "log_softmax", columns, &[x, y]);
}

/// See [`Backend::log_softmax_backward`](tensor::Backend::log_softmax_backward).
pub fn log_softmax_backward(gpu: &mut Gpu, columns: usize, y: Slot, dy: Slot, dx: Slot) {
    each_row(gpu, "log_softmax_backward", columns, &[y, dy, dx]);
}
