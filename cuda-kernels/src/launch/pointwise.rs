//! One thread per element.

use tensor::Slot;

use crate::Gpu;
use crate::driver::Arg;

const MODULE: &str = "pointwise";

/// Launches `kernel(scalars.., slots.., n)` with one thread for each of the n elements of the last
/// slot. All slots but scalars on the device are equally long.
fn map(gpu: &mut Gpu, kernel: &'static str, scalars: &[f32], slots: &[Slot]) {
    let n = slots.last().map_or(0, |y| y.len);
    let mut args: Vec<Arg> = scalars.iter().map(|&scalar| Arg::F32(scalar)).collect();
    args.extend(slots.iter().map(|&slot| gpu.pointer(slot)));
    args.push(Arg::Count(n));
    gpu.launch_elements(MODULE, kernel, n, &args);
}

/// See [`Backend::fill`](tensor::Backend::fill).
pub fn fill(gpu: &mut Gpu, y: Slot, value: f32) {
    map(gpu, "fill", &[value], &[y]);
}

/// See [`Backend::copy`](tensor::Backend::copy).
pub fn copy(gpu: &mut Gpu, x: Slot, y: Slot) {
    map(gpu, "copy", &[], &[x, y]);
}

/// See [`Backend::add`](tensor::Backend::add).
pub fn add(gpu: &mut Gpu, a: Slot, b: Slot, y: Slot) {
    map(gpu, "add", &[], &[a, b, y]);
}

/// See [`Backend::mul`](tensor::Backend::mul).
pub fn mul(gpu: &mut Gpu, a: Slot, b: Slot, y: Slot) {
    map(gpu, "mul", &[], &[a, b, y]);
}

/// See [`Backend::clamp`](tensor::Backend::clamp).
pub fn clamp(gpu: &mut Gpu, low: f32, high: f32, x: Slot, y: Slot) {
    map(gpu, "clamp", &[low, high], &[x, y]);
}

/// See [`Backend::clamp_backward`](tensor::Backend::clamp_backward).
pub fn clamp_backward(gpu: &mut Gpu, low: f32, high: f32, x: Slot, dy: Slot, dx: Slot) {
    map(gpu, "clamp_backward", &[low, high], &[x, dy, dx]);
}

/// See [`Backend::ln`](tensor::Backend::ln).
pub fn ln(gpu: &mut Gpu, x: Slot, y: Slot) {
    map(gpu, "ln", &[], &[x, y]);
}

/// See [`Backend::ln_backward`](tensor::Backend::ln_backward).
pub fn ln_backward(gpu: &mut Gpu, x: Slot, dy: Slot, dx: Slot) {
    map(gpu, "ln_backward", &[], &[x, dy, dx]);
}

/// See [`Backend::scale`](tensor::Backend::scale).
pub fn scale(gpu: &mut Gpu, alpha: f32, x: Slot, y: Slot) {
    if x != y || alpha != 1.0 {
        map(gpu, "scale", &[alpha], &[x, y]);
    }
}

/// See [`Backend::scale_by`](tensor::Backend::scale_by).
pub fn scale_by(gpu: &mut Gpu, s: Slot, x: Slot, y: Slot) {
    map(gpu, "scale_by", &[], &[s, x, y]);
}

/// See [`Backend::accumulate`](tensor::Backend::accumulate).
pub fn accumulate(gpu: &mut Gpu, keep: Slot, x: Slot, acc: Slot) {
    map(gpu, "accumulate", &[], &[keep, x, acc]);
}

/// See [`Backend::relu`](tensor::Backend::relu).
pub fn relu(gpu: &mut Gpu, x: Slot, y: Slot) {
    map(gpu, "relu", &[], &[x, y]);
}

/// See [`Backend::relu_backward`](tensor::Backend::relu_backward).
pub fn relu_backward(gpu: &mut Gpu, y: Slot, dy: Slot, dx: Slot) {
    map(gpu, "relu_backward", &[], &[y, dy, dx]);
}

/// See [`Backend::gelu`](tensor::Backend::gelu).
pub fn gelu(gpu: &mut Gpu, x: Slot, y: Slot) {
    map(gpu, "gelu", &[], &[x, y]);
}

/// See [`Backend::gelu_backward`](tensor::Backend::gelu_backward).
pub fn gelu_backward(gpu: &mut Gpu, x: Slot, dy: Slot, dx: Slot) {
    map(gpu, "gelu_backward", &[], &[x, dy, dx]);
}

/// See [`Backend::add_bias`](tensor::Backend::add_bias).
pub fn add_bias(gpu: &mut Gpu, x: Slot, bias: Slot, y: Slot) {
    let pointers = [x, bias, y].map(|slot| gpu.pointer(slot));
    let args = [&pointers[..], &[Arg::Count(y.len), Arg::Count(bias.len)]].concat();
    gpu.launch_elements(MODULE, "add_bias", y.len, &args);
}
