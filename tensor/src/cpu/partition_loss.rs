use crate::geometry::PartitionLoss;
/// Returns (consistency, entropy).
pub fn partition_loss(sizes: PartitionLoss, student: &[f32], teacher: &[f32], permutation: &[u32], grad_student: &mut [f32], workspace: &mut [f32]) -> (f64, f64) { unimplemented!() }
pub fn workspace(sizes: PartitionLoss) -> usize { unimplemented!() }
