//! Winograd's minimal filtering F(2x2,3x3) (Lavin and Gray, *Fast Algorithms for Convolutional Neural
//! Networks*, 2015): 3x3 convolutions of stride 1 with 16 products per 2x2 outputs instead of 36.
//!
//! `Y = A^T [(G g G^T) * (B^T d B)] A` for a 4x4 tile d of the input, a 3x3 filter g and a 2x2 tile Y
//! of the output, with `*` elementwise. Summed over channels, each of the 16 places is a matrix
//! product `[tiles, C] [C, O]`, which the microkernel computes. `docs/convolution.md` derives it.
//!
//! `transforms` has the small matrices, `tiles` says where tiles lie in images, `places` takes pixels to
//! the 16 places and back, and `forward` and `grad_weight` put them together.

mod forward;
mod grad_weight;
mod places;
mod tiles;
mod transforms;

pub use forward::{winograd, winograd_workspace};
pub use grad_weight::{winograd_grad_weight, winograd_grad_weight_workspace};
