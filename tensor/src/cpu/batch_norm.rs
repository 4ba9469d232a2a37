use crate::backend::BatchNorm;
pub fn workspace(norm: BatchNorm) -> usize { unimplemented!() }
#[allow(clippy::too_many_arguments)]
pub fn forward(norm: BatchNorm, x: &[f32], residual: Option<&[f32]>, weight: &[f32], bias: &[f32], running_mean: &mut [f32], running_var: &mut [f32], y: &mut [f32], mean: &mut [f32], inv_std: &mut [f32], workspace: &mut [f32]) { unimplemented!() }
#[allow(clippy::too_many_arguments)]
pub fn backward(norm: BatchNorm, x: &[f32], y: &[f32], dy: &[f32], weight: &[f32], mean: &[f32], inv_std: &[f32], dx: &mut [f32], dweight: &mut [f32], dbias: &mut [f32], dresidual: Option<&mut [f32]>, workspace: &mut [f32]) { unimplemented!() }
#[allow(clippy::too_many_arguments)]
pub fn inference(norm: BatchNorm, x: &[f32], residual: Option<&[f32]>, weight: &[f32], bias: &[f32], running_mean: &[f32], running_var: &[f32], y: &mut [f32], inv_std: &mut [f32]) { unimplemented!() }
#[allow(clippy::too_many_arguments)]
pub fn inference_backward(norm: BatchNorm, x: &[f32], y: &[f32], dy: &[f32], weight: &[f32], running_mean: &[f32], inv_std: &[f32], dx: &mut [f32], dweight: &mut [f32], dbias: &mut [f32], dresidual: Option<&mut [f32]>, workspace: &mut [f32]) { unimplemented!() }
