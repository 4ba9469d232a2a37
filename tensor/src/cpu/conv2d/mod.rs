//! Convolution as implicit GEMM over channels-last pixels.
//!
//! `Y[NPQ, O] = patches(X)[NPQ, RSC] W^T[RSC, O]`: a row of patches holds the R x S x C numbers that
//! one output pixel reads. The matrix of patches never exists as a whole: the forward pass reads
//! patches where they lie in a padded copy of some images, the gradients make them chunk by chunk
//! of rows; both pieces are small enough to stay in L2. A fixed number of tasks, each with scratch
//! memory of its own, share the pieces.

mod chunks;
mod forward;
mod grad_input;
mod grad_weight;
pub mod patches;

pub use forward::{forward, forward_workspace};
pub use grad_input::{grad_input, grad_input_workspace};
pub use grad_weight::{grad_weight, grad_weight_workspace};
