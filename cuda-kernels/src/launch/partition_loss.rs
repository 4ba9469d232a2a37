//! CARP's loss over logits.

use tensor::Slot;
use tensor::backend::LossSlots;
use tensor::geometry::PartitionLoss;

use crate::Gpu;

/// See [`Backend::partition_loss_workspace`](tensor::Backend::partition_loss_workspace).
pub fn partition_loss_workspace(_sizes: PartitionLoss) -> usize {
    unimplemented!("partition_loss_workspace")
}

/// See [`Backend::partition_loss`](tensor::Backend::partition_loss).
#[allow(clippy::too_many_arguments)]
pub fn partition_loss(
    _gpu: &mut Gpu,
    _sizes: PartitionLoss,
    _student: Slot,
    _teacher: Slot,
    _permutation: Slot,
    _terms: LossSlots,
    _grad_student: Slot,
    _workspace: Slot,
) {
    unimplemented!("partition_loss")
}
