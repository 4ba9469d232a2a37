//! Softmax of rows.

use tensor::Slot;

use crate::Gpu;

/// See [`Backend::softmax`](tensor::Backend::softmax).
pub fn softmax(_gpu: &mut Gpu, _columns: usize, _x: Slot, _y: Slot) {
    unimplemented!("softmax")
}

/// See [`Backend::softmax_backward`](tensor::Backend::softmax_backward).
pub fn softmax_backward(_gpu: &mut Gpu, _columns: usize, _y: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("softmax_backward")
}

/// See [`Backend::log_softmax`](tensor::Backend::log_softmax).
pub fn log_softmax(_gpu: &mut Gpu, _columns: usize, _x: Slot, _y: Slot) {
    unimplemented!("log_softmax")
}

/// See [`Backend::log_softmax_backward`](tensor::Backend::log_softmax_backward).
pub fn log_softmax_backward(_gpu: &mut Gpu, _columns: usize, _y: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("log_softmax_backward")
}
