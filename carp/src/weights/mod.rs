//! Weights of others: a ResNet with torchvision's names out of any file of named tensors.
//!
//! [`WeightsFile`] opens safetensors and what `torch.save` writes, without executing anything in
//! it; [`choose`] finds the backbone in it whatever prefix the method gave it, [`compare`] tells
//! which ResNet it is and what is missing or left over, [`read`] reads it; [`export`] writes it.

mod backbone;
mod dtype;
mod export;
mod file;
mod state_dict;
mod torch_legacy;
mod torch_zip;

pub use self::backbone::{Backbone, Candidate, Match, Role, candidates, choose, compare, read};
pub use self::dtype::DType;
pub use self::export::export;
pub use self::file::{Format, StoredTensor, WeightsFile};
