use crate::backend::AdamW;
pub fn ema(m: f32, student: &[f32], teacher: &mut [f32]) { unimplemented!() }
pub fn sgd(momentum: f32, lr: f32, wd: f32, grad: &[f32], w: &mut [f32], buffer: &mut [f32]) { unimplemented!() }
pub fn lars(momentum: f32, eta: f32, lr: f32, wd: f32, grad: &[f32], w: &mut [f32], buffer: &mut [f32]) { unimplemented!() }
#[allow(clippy::too_many_arguments)]
pub fn adamw(adamw: AdamW, lr: f32, wd: f32, correction: (f32, f32), grad: &[f32], w: &mut [f32], first: &mut [f32], second: &mut [f32]) { unimplemented!() }
