pub fn softmax(columns: usize, x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn softmax_backward(columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) { unimplemented!() }
pub fn log_softmax(columns: usize, x: &[f32], y: &mut [f32]) { unimplemented!() }
pub fn log_softmax_backward(columns: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) { unimplemented!() }
