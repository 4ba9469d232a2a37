//! Files of named tensors: third-party ones, safetensors and `torch.save`, without executing
//! anything in them; and safetensors files of any size, read and written as streams.
//!
//! The crate `evaluations` finds which network the names belong to. In reading order:
//! `stored_tensor` and `dtype`, the contents of a file; `safetensors_file`, `torch_zip` and
//! `torch_legacy`, the formats, the latter two with `torch_tensor` and `state_dict`; `file`, which
//! recognises them. A file is judged only by what is read from it: what it holds besides, whether
//! other objects or tensors of other types, has a name and a type and is no error.
//! `safetensors_reader` and `safetensors_writer` are for our own files, which must be whole.

mod dtype;
mod file;
mod safetensors_file;
mod safetensors_reader;
mod safetensors_writer;
mod state_dict;
mod stored_tensor;
mod torch_legacy;
mod torch_tensor;
mod torch_zip;

pub use self::dtype::DType;
pub use self::file::{Format, WeightsFile};
pub use self::safetensors_reader::SafeTensorsReader;
pub use self::safetensors_writer::{TensorHeader, little_endian, write_safetensors};
pub use self::stored_tensor::{StoredTensor, View};
