//! Third-party files of named tensors: safetensors and `torch.save`, without executing anything in
//! them.
//!
//! The crate `evaluations` finds which network the names belong to. In reading order:
//! `stored_tensor` and `dtype`, the contents of a file; `safetensors_file`, `torch_zip` and
//! `torch_legacy`, the formats, the latter two with `torch_tensor` and `state_dict`; `file`, which
//! recognises them. A file is judged only by what is read from it: what it holds besides, whether
//! other objects or tensors of other types, has a name and a type and is no error.

mod dtype;
mod file;
mod safetensors_file;
mod state_dict;
mod stored_tensor;
mod torch_legacy;
mod torch_tensor;
mod torch_zip;

pub use self::dtype::DType;
pub use self::file::{Format, WeightsFile};
pub use self::stored_tensor::{StoredTensor, View};
