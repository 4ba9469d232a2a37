//! Sums in fixed trees.

use tensor::Slot;

use crate::Gpu;

/// See [`Backend::all_finite`](tensor::Backend::all_finite).
pub fn all_finite(_gpu: &mut Gpu, _x: Slot) -> bool {
    unimplemented!("all_finite")
}

/// See [`Backend::sum_rows`](tensor::Backend::sum_rows).
pub fn sum_rows(_gpu: &mut Gpu, _x: Slot, _y: Slot, _workspace: Slot) {
    unimplemented!("sum_rows")
}

/// See [`Backend::sum_rows_workspace`](tensor::Backend::sum_rows_workspace).
pub fn sum_rows_workspace(_rows: usize, _columns: usize) -> usize {
    unimplemented!("sum_rows_workspace")
}

/// See [`Backend::sum_columns`](tensor::Backend::sum_columns).
pub fn sum_columns(_gpu: &mut Gpu, _columns: usize, _x: Slot, _y: Slot) {
    unimplemented!("sum_columns")
}

/// See [`Backend::sum_columns_backward`](tensor::Backend::sum_columns_backward).
pub fn sum_columns_backward(_gpu: &mut Gpu, _columns: usize, _dy: Slot, _dx: Slot) {
    unimplemented!("sum_columns_backward")
}

/// See [`Backend::sum`](tensor::Backend::sum).
pub fn sum(_gpu: &mut Gpu, _alpha: f32, _x: Slot, _y: Slot) {
    unimplemented!("sum")
}
