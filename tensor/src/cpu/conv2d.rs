use crate::geometry::Conv2d;
pub fn forward(conv: Conv2d, x: &[f32], weight: &[f32], y: &mut [f32], workspace: &mut [f32]) { unimplemented!() }
pub fn forward_workspace(conv: Conv2d) -> usize { unimplemented!() }
pub fn grad_input(conv: Conv2d, dy: &[f32], weight: &[f32], dx: &mut [f32], workspace: &mut [f32]) { unimplemented!() }
pub fn grad_input_workspace(conv: Conv2d) -> usize { unimplemented!() }
pub fn grad_weight(conv: Conv2d, x: &[f32], dy: &[f32], dweight: &mut [f32], workspace: &mut [f32]) { unimplemented!() }
pub fn grad_weight_workspace(conv: Conv2d) -> usize { unimplemented!() }
