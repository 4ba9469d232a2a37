//! Convolution as implicit GEMM.

use tensor::Slot;
use tensor::geometry::Conv2d;

use crate::Gpu;

/// See [`Backend::conv2d`](tensor::Backend::conv2d).
pub fn conv2d(_gpu: &mut Gpu, _conv: Conv2d, _x: Slot, _weight: Slot, _y: Slot, _workspace: Slot) {
    unimplemented!("conv2d")
}

/// See [`Backend::conv2d_workspace`](tensor::Backend::conv2d_workspace).
pub fn conv2d_workspace(_conv: Conv2d) -> usize {
    unimplemented!("conv2d_workspace")
}

/// See [`Backend::conv2d_grad_input`](tensor::Backend::conv2d_grad_input).
pub fn conv2d_grad_input(
    _gpu: &mut Gpu,
    _conv: Conv2d,
    _dy: Slot,
    _weight: Slot,
    _dx: Slot,
    _ws: Slot,
) {
    unimplemented!("conv2d_grad_input")
}

/// See [`Backend::conv2d_grad_input_workspace`](tensor::Backend::conv2d_grad_input_workspace).
pub fn conv2d_grad_input_workspace(_conv: Conv2d) -> usize {
    unimplemented!("conv2d_grad_input_workspace")
}

/// See [`Backend::conv2d_grad_weight`](tensor::Backend::conv2d_grad_weight).
pub fn conv2d_grad_weight(
    _gpu: &mut Gpu,
    _conv: Conv2d,
    _x: Slot,
    _dy: Slot,
    _dweight: Slot,
    _ws: Slot,
) {
    unimplemented!("conv2d_grad_weight")
}

/// See [`Backend::conv2d_grad_weight_workspace`](tensor::Backend::conv2d_grad_weight_workspace).
pub fn conv2d_grad_weight_workspace(_conv: Conv2d) -> usize {
    unimplemented!("conv2d_grad_weight_workspace")
}
