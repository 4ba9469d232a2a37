use crate::geometry::Pool2d;
pub fn max_forward(pool: Pool2d, x: &[f32], y: &mut [f32], argmax: &mut [u32]) { unimplemented!() }
pub fn max_backward(pool: Pool2d, dy: &[f32], argmax: &[u32], dx: &mut [f32]) { unimplemented!() }
pub fn avg_forward(pool: Pool2d, x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn avg_backward(pool: Pool2d, dy: &[f32], dx: &mut [f32]) { unimplemented!() }
pub fn global_avg_forward(n: usize, pixels: usize, x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn global_avg_backward(n: usize, pixels: usize, dy: &[f32], dx: &mut [f32]) { unimplemented!() }
