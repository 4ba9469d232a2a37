//! Convolution as implicit GEMM over channels-last pixels.
//!
//! `Y[NPQ, O] = patches(X)[NPQ, RSC] W^T[RSC, O]`: a row of patches holds the R x S x C numbers
//! that one output pixel reads. The matrix of patches never exists as a whole: the forward pass
//! reads patches in place from a padded copy of some images, the gradients build them in chunks of
//! rows; both are small enough to stay in L2. A fixed number of tasks, each with its own scratch
//! memory, share the work.

mod chunks;
mod convolve;
mod direct;
mod filter;
mod forward;
mod grad_input;
mod grad_weight;
pub mod patches;
mod slab;
mod winograd;

pub use forward::{forward, forward_workspace};
pub use grad_input::{grad_input, grad_input_workspace};
pub use grad_weight::{grad_weight, grad_weight_workspace};
