//! Files of named tensors that others wrote: safetensors, and what `torch.save` writes, without
//! executing anything in it.
//!
//! Which network the names belong to is not known here: the crate `evaluations` finds it. In reading
//! order: `stored_tensor` and `dtype`, what a file holds; `safetensors_file`, `torch_zip` and
//! `torch_legacy`, the formats, the latter two with `state_dict`; `file`, which tells them apart.

mod dtype;
mod file;
mod safetensors_file;
mod state_dict;
mod stored_tensor;
mod torch_legacy;
mod torch_zip;

pub use self::dtype::DType;
pub use self::file::{Format, WeightsFile};
pub use self::stored_tensor::StoredTensor;
