pub fn gather_rows(columns: usize, x: &[f32], index: &[u32], y: &mut [f32]) { unimplemented!() }
pub fn scatter_add_rows(columns: usize, dy: &[f32], index: &[u32], dx: &mut [f32]) { unimplemented!() }
