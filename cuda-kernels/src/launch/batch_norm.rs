//! Batch norm fused with residual and ReLU.

use tensor::Slot;
use tensor::backend::{BatchNorm, BatchNormSlots};

use crate::Gpu;

/// See [`Backend::batch_norm_workspace`](tensor::Backend::batch_norm_workspace).
pub fn batch_norm_workspace(_norm: BatchNorm) -> usize {
    unimplemented!("batch_norm_workspace")
}

/// See [`Backend::batch_norm_inference`](tensor::Backend::batch_norm_inference).
pub fn batch_norm_inference(
    _gpu: &mut Gpu,
    _norm: BatchNorm,
    _x: Slot,
    _residual: Option<Slot>,
    _slots: BatchNormSlots,
    _y: Slot,
    _inv_std: Slot,
) {
    unimplemented!("batch_norm_inference")
}

/// See [`Backend::batch_norm`](tensor::Backend::batch_norm).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm(
    _gpu: &mut Gpu,
    _norm: BatchNorm,
    _x: Slot,
    _residual: Option<Slot>,
    _slots: BatchNormSlots,
    _y: Slot,
    _mean: Slot,
    _inv_std: Slot,
    _workspace: Slot,
) {
    unimplemented!("batch_norm")
}

/// See [`Backend::batch_norm_backward`](tensor::Backend::batch_norm_backward).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_backward(
    _gpu: &mut Gpu,
    _norm: BatchNorm,
    _x: Slot,
    _y: Slot,
    _dy: Slot,
    _weight: Slot,
    _mean: Slot,
    _inv_std: Slot,
    _dx: Slot,
    _dweight: Slot,
    _dbias: Slot,
    _dresidual: Option<Slot>,
    _workspace: Slot,
) {
    unimplemented!("batch_norm_backward")
}

/// See [`Backend::batch_norm_inference_backward`](tensor::Backend::batch_norm_inference_backward).
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_inference_backward(
    _gpu: &mut Gpu,
    _norm: BatchNorm,
    _x: Slot,
    _y: Slot,
    _dy: Slot,
    _weight: Slot,
    _running_mean: Slot,
    _inv_std: Slot,
    _dx: Slot,
    _dweight: Slot,
    _dbias: Slot,
    _dresidual: Option<Slot>,
    _workspace: Slot,
) {
    unimplemented!("batch_norm_inference_backward")
}
