//! One thread per element.

use tensor::Slot;

use crate::Gpu;
use crate::driver::Arg;

const MODULE: &str = "pointwise";

/// See [`Backend::fill`](tensor::Backend::fill).
pub fn fill(gpu: &mut Gpu, y: Slot, value: f32) {
    let args = [Arg::F32(value), Arg::Count(y.len), gpu.pointer(y)];
    gpu.launch_elements(MODULE, "fill", y.len, &args);
}

/// See [`Backend::copy`](tensor::Backend::copy).
pub fn copy(_gpu: &mut Gpu, _x: Slot, _y: Slot) {
    unimplemented!("copy")
}

/// See [`Backend::add`](tensor::Backend::add).
pub fn add(_gpu: &mut Gpu, _a: Slot, _b: Slot, _y: Slot) {
    unimplemented!("add")
}

/// See [`Backend::mul`](tensor::Backend::mul).
pub fn mul(_gpu: &mut Gpu, _a: Slot, _b: Slot, _y: Slot) {
    unimplemented!("mul")
}

/// See [`Backend::clamp`](tensor::Backend::clamp).
pub fn clamp(_gpu: &mut Gpu, _low: f32, _high: f32, _x: Slot, _y: Slot) {
    unimplemented!("clamp")
}

/// See [`Backend::clamp_backward`](tensor::Backend::clamp_backward).
pub fn clamp_backward(_gpu: &mut Gpu, _low: f32, _high: f32, _x: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("clamp_backward")
}

/// See [`Backend::ln`](tensor::Backend::ln).
pub fn ln(_gpu: &mut Gpu, _x: Slot, _y: Slot) {
    unimplemented!("ln")
}

/// See [`Backend::ln_backward`](tensor::Backend::ln_backward).
pub fn ln_backward(_gpu: &mut Gpu, _x: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("ln_backward")
}

/// See [`Backend::scale`](tensor::Backend::scale).
pub fn scale(_gpu: &mut Gpu, _alpha: f32, _x: Slot, _y: Slot) {
    unimplemented!("scale")
}

/// See [`Backend::scale_by`](tensor::Backend::scale_by).
pub fn scale_by(_gpu: &mut Gpu, _s: Slot, _x: Slot, _y: Slot) {
    unimplemented!("scale_by")
}

/// See [`Backend::accumulate`](tensor::Backend::accumulate).
pub fn accumulate(_gpu: &mut Gpu, _keep: Slot, _x: Slot, _acc: Slot) {
    unimplemented!("accumulate")
}

/// See [`Backend::relu`](tensor::Backend::relu).
pub fn relu(_gpu: &mut Gpu, _x: Slot, _y: Slot) {
    unimplemented!("relu")
}

/// See [`Backend::relu_backward`](tensor::Backend::relu_backward).
pub fn relu_backward(_gpu: &mut Gpu, _y: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("relu_backward")
}

/// See [`Backend::gelu`](tensor::Backend::gelu).
pub fn gelu(_gpu: &mut Gpu, _x: Slot, _y: Slot) {
    unimplemented!("gelu")
}

/// See [`Backend::gelu_backward`](tensor::Backend::gelu_backward).
pub fn gelu_backward(_gpu: &mut Gpu, _x: Slot, _dy: Slot, _dx: Slot) {
    unimplemented!("gelu_backward")
}

/// See [`Backend::add_bias`](tensor::Backend::add_bias).
pub fn add_bias(_gpu: &mut Gpu, _x: Slot, _bias: Slot, _y: Slot) {
    unimplemented!("add_bias")
}
