//! safetensors: a JSON header, then numbers.

use std::fs::File;
use std::io::{BufReader, Read};

use safetensors::tensor::Metadata;

use crate::dtype::DType;
use crate::stored_tensor::{Contents, Place, Storage, StoredTensor, contiguous};

/// The contents of a safetensors file.
///
/// # Errors
/// Another format, or a truncated file.
pub fn contents(file: &mut BufReader<File>) -> Result<Contents, String> {
    let neither = "neither a safetensors nor a torch.save file";
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| neither)?;
    let total = file.get_ref().metadata().map_err(|error| error.to_string())?.len();
    let length = u64::from_le_bytes(length);
    if length > total.saturating_sub(8) {
        return Err(format!("{neither}, or truncated"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|error| error.to_string())?;
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("{neither}: {error}"))?;
    let (start, bytes) = (8 + length, header.data_len() as u64);
    if start + bytes != total {
        return Err(format!("truncated: {total} bytes, its header expects {}", start + bytes));
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let mut contents = Contents { metadata, ..Contents::default() };
    for name in header.offset_keys() {
        let info = header.info(&name).expect("one of its keys");
        let Some(dtype) = DType::of_safetensors(info.dtype) else { continue };
        let (first, end) = info.data_offsets;
        contents.tensors.push(StoredTensor {
            name,
            strides: contiguous(&info.shape),
            shape: info.shape.clone(),
            offset: 0,
            storage: contents.storages.len(),
        });
        contents.storages.push(Storage {
            dtype,
            len: (end - first) / dtype.size(),
            place: Place::Offset(start + first as u64),
        });
    }
    Ok(contents)
}
