pub fn copy(x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn add_assign(b: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn scale(alpha: f32, x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn scale_assign(alpha: f32, y: &mut [f32]) { unimplemented!() }
pub fn accumulate(keep: f32, x: &[f32], acc: &mut [f32]) { unimplemented!() }
pub fn add_bias(x: &[f32], bias: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn add_bias_assign(bias: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn relu(x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn relu_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) { unimplemented!() }
pub fn gelu(x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn gelu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) { unimplemented!() }
