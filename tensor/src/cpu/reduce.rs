pub fn all_finite(x: &[f32]) -> bool { unimplemented!() }
pub fn sum_rows(x: &[f32], y: &mut [f32], workspace: &mut [f32]) { unimplemented!() }
pub fn sum_rows_workspace(rows: usize, columns: usize) -> usize { unimplemented!() }
pub fn sum(x: &[f32]) -> f64 { unimplemented!() }
