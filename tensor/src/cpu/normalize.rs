pub fn l2_normalize(columns: usize, eps: f32, x: &[f32], y: &mut [f32], norm: &mut [f32]) { unimplemented!() }
pub fn l2_normalize_backward(columns: usize, eps: f32, y: &[f32], norm: &[f32], dy: &[f32], dx: &mut [f32]) { unimplemented!() }
