//! CARP's loss from embeddings, block by block.

use tensor::Slot;
use tensor::backend::{LossSlots, StreamingLossInputs};
use tensor::geometry::StreamingLoss;

use crate::Gpu;

/// See [`Backend::streaming_loss`](tensor::Backend::streaming_loss).
pub fn streaming_loss(
    _gpu: &mut Gpu,
    _sizes: StreamingLoss,
    _inputs: StreamingLossInputs,
    _terms: LossSlots,
    _grad_student: Slot,
    _grad_prototypes: Slot,
    _workspace: Slot,
) {
    unimplemented!("streaming_loss")
}

/// See [`Backend::streaming_loss_workspace`](tensor::Backend::streaming_loss_workspace).
pub fn streaming_loss_workspace(_sizes: StreamingLoss) -> usize {
    unimplemented!("streaming_loss_workspace")
}
