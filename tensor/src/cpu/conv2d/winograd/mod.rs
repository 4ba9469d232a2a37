//! Winograd's minimal filtering F(MxM,3x3) (Lavin and Gray, *Fast Algorithms for Convolutional Neural
//! Networks*, 2015): 3x3 convolutions of stride 1 with 16 products per 2x2 outputs instead of 36, or
//! 36 per 4x4 outputs instead of 144.
//!
//! `Y = A^T [(G g G^T) * (B^T d B)] A` for a TxT tile d of the input, a 3x3 filter g and an MxM tile Y
//! of the output, with T = M + 2 and `*` elementwise. Summed over channels, each of the TxT places is a
//! matrix product `[tiles, C] [C, O]`, which the microkernel computes. `docs/convolution.md` derives
//! it.
//!
//! `f2` and `f4` have the small matrices, `transforms` applies them, `tiles` says where tiles lie in
//! images, `places` takes pixels to the TxT places and back, and `forward` and `grad_weight` put them
//! together.

mod f2;
mod f4;
mod forward;
mod grad_weight;
mod places;
mod tiles;
mod transforms;

pub use f2::F2;
pub use f4::F4;
pub use forward::{winograd, winograd_workspace};
pub use grad_weight::{winograd_grad_weight, winograd_grad_weight_workspace};
