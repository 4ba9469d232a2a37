//! Rows and columns by index.

use tensor::Slot;

use crate::Gpu;

/// See [`Backend::gather_rows`](tensor::Backend::gather_rows).
pub fn gather_rows(_gpu: &mut Gpu, _columns: usize, _x: Slot, _index: Slot, _y: Slot) {
    unimplemented!("gather_rows")
}

/// See [`Backend::scatter_add_rows`](tensor::Backend::scatter_add_rows).
pub fn scatter_add_rows(_gpu: &mut Gpu, _columns: usize, _dy: Slot, _index: Slot, _dx: Slot) {
    unimplemented!("scatter_add_rows")
}

/// See [`Backend::gather_columns`](tensor::Backend::gather_columns).
pub fn gather_columns(_gpu: &mut Gpu, _columns: usize, _x: Slot, _index: Slot, _y: Slot) {
    unimplemented!("gather_columns")
}

/// See [`Backend::gather_columns_backward`](tensor::Backend::gather_columns_backward).
pub fn gather_columns_backward(
    _gpu: &mut Gpu,
    _columns: usize,
    _dy: Slot,
    _index: Slot,
    _dx: Slot,
) {
    unimplemented!("gather_columns_backward")
}
