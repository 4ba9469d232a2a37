//! EMA, SGD, LARS, AdamW: one thread per weight; LARS takes two norms before that.

use tensor::Slot;
use tensor::backend::AdamW;

use super::reduce::{PARTS, parts};
use crate::Gpu;
use crate::driver::Arg;
use crate::gpu::BLOCK;

const MODULE: &str = "optimizer";

/// Launches `kernel(scalars.., slots.., n)` with one thread for each of n elements.
fn each_weight(gpu: &mut Gpu, kernel: &'static str, scalars: &[f32], slots: &[Slot], n: usize) {
    let mut args: Vec<Arg> = scalars.iter().map(|&scalar| Arg::F32(scalar)).collect();
    args.extend(slots.iter().map(|&slot| gpu.pointer(slot)));
    args.push(Arg::Count(n));
    gpu.launch_elements(MODULE, kernel, n, &args);
}

/// See [`Backend::ema`](tensor::Backend::ema).
pub fn ema(gpu: &mut Gpu, m: Slot, student: Slot, teacher: Slot) {
    each_weight(gpu, "ema", &[], &[m, student, teacher], teacher.len);
}

/// See [`Backend::sgd`](tensor::Backend::sgd).
pub fn sgd(gpu: &mut Gpu, momentum: f32, lr: Slot, wd: Slot, grad: Slot, w: Slot, buffer: Slot) {
    each_weight(gpu, "sgd", &[momentum], &[lr, wd, grad, w, buffer], w.len);
}

/// See [`Backend::adamw`](tensor::Backend::adamw).
#[allow(clippy::too_many_arguments)]
pub fn adamw(
    gpu: &mut Gpu,
    adamw: AdamW,
    lr: Slot,
    wd: Slot,
    correction: Slot,
    grad: Slot,
    w: Slot,
    first: Slot,
    second: Slot,
) {
    let AdamW { betas: (beta1, beta2), eps } = adamw;
    let slots = [lr, wd, correction, grad, w, first, second];
    each_weight(gpu, "adamw", &[beta1, beta2, eps], &slots, w.len);
}

/// See [`Backend::lars`](tensor::Backend::lars).
#[allow(clippy::too_many_arguments)]
pub fn lars(
    gpu: &mut Gpu,
    momentum: f32,
    eta: f32,
    lr: Slot,
    wd: Slot,
    grad: Slot,
    w: Slot,
    buffer: Slot,
) {
    let count = parts(w.len);
    let (sums, trust) = (gpu.scratch().part(0, 2 * count), gpu.scratch().part(2 * PARTS, 1));
    let [pwd, pgrad, pw, psums, ptrust] = [wd, grad, w, sums, trust].map(|slot| gpu.pointer(slot));
    let args = [pwd, pgrad, pw, psums, Arg::Count(w.len)];
    gpu.launch_rows(MODULE, "lars_norms", count, BLOCK, &args);
    let args = [Arg::F32(eta), psums, ptrust, Arg::Count(count)];
    gpu.launch_rows(MODULE, "lars_trust", 1, BLOCK, &args);
    each_weight(gpu, "lars", &[momentum], &[lr, wd, trust, grad, w, buffer], w.len);
}
