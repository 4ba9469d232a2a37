//! EMA, SGD, LARS, AdamW.

use tensor::Slot;
use tensor::backend::AdamW;

use crate::Gpu;

/// See [`Backend::ema`](tensor::Backend::ema).
pub fn ema(_gpu: &mut Gpu, _m: Slot, _student: Slot, _teacher: Slot) {
    unimplemented!("ema")
}

/// See [`Backend::sgd`](tensor::Backend::sgd).
pub fn sgd(
    _gpu: &mut Gpu,
    _momentum: f32,
    _lr: Slot,
    _wd: Slot,
    _grad: Slot,
    _w: Slot,
    _buffer: Slot,
) {
    unimplemented!("sgd")
}

/// See [`Backend::adamw`](tensor::Backend::adamw).
#[allow(clippy::too_many_arguments)]
pub fn adamw(
    _gpu: &mut Gpu,
    _adamw: AdamW,
    _lr: Slot,
    _wd: Slot,
    _correction: Slot,
    _grad: Slot,
    _w: Slot,
    _first: Slot,
    _second: Slot,
) {
    unimplemented!("adamw")
}

/// See [`Backend::lars`](tensor::Backend::lars).
#[allow(clippy::too_many_arguments)]
pub fn lars(
    _gpu: &mut Gpu,
    _momentum: f32,
    _eta: f32,
    _lr: Slot,
    _wd: Slot,
    _grad: Slot,
    _w: Slot,
    _buffer: Slot,
) {
    unimplemented!("lars")
}
