//! Rows of length 1: weight norm.

use tensor::Slot;

use crate::Gpu;

/// See [`Backend::l2_normalize`](tensor::Backend::l2_normalize).
pub fn l2_normalize(_gpu: &mut Gpu, _columns: usize, _eps: f32, _x: Slot, _y: Slot, _norm: Slot) {
    unimplemented!("l2_normalize")
}

/// See [`Backend::l2_normalize_backward`](tensor::Backend::l2_normalize_backward).
pub fn l2_normalize_backward(
    _gpu: &mut Gpu,
    _columns: usize,
    _eps: f32,
    _y: Slot,
    _norm: Slot,
    _dy: Slot,
    _dx: Slot,
) {
    unimplemented!("l2_normalize_backward")
}
