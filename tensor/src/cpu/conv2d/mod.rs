//! Convolution of channels-last images: as implicit GEMM, or by Winograd's algorithm.
//!
//! `Y[NPQ, O] = patches(X)[NPQ, RSC] W^T[RSC, O]`: a row of patches holds the R x S x C numbers
//! that one output pixel reads. The matrix of patches never exists as a whole: `direct` reads
//! patches in place from a padded copy of some images, small enough to stay in L2. A fixed number of
//! tasks, each with its own scratch memory, share the work. `winograd` has the other algorithm; which one
//! computes a convolution is in [`Conv2d`](crate::geometry::Conv2d).

mod convolve;
mod direct;
mod direct_grad_weight;
mod edges;
mod filter;
mod forward;
mod grad_input;
mod grad_weight;
mod phases;
mod slab;
mod tasks;
mod winograd;

pub use forward::{forward, forward_workspace};
pub use grad_input::{grad_input, grad_input_workspace};
pub use grad_weight::{grad_weight, grad_weight_workspace};
