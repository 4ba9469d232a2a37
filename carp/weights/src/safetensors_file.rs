//! safetensors: a JSON header, then numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};

use serde::Deserialize;
use serde_json::Value;

use crate::dtype::DType;
use crate::stored_tensor::{Contents, DIMENSIONS, Place, Storage, StoredTensor, View, contiguous};

/// The most bytes of a header: a hundred thousand tensors' worth.
const LARGEST: u64 = 1 << 24;

/// What the header says of a tensor. The crate `safetensors` would refuse the whole file for a single
/// type that is newer than itself.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

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
    if length > LARGEST {
        return Err(format!("a header of {length} bytes, at most {LARGEST} are read"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|error| error.to_string())?;
    let no_header = |error| format!("{neither}: {error}");
    let mut header: HashMap<String, Value> = serde_json::from_slice(&header).map_err(no_header)?;
    let metadata = match header.remove("__metadata__") {
        Some(Value::Object(metadata)) => metadata,
        _ => serde_json::Map::new(),
    };
    let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
    let metadata = metadata.into_iter().filter_map(text).collect();
    let entry = |(name, value)| {
        let entry = Entry::deserialize(value).map_err(|error| format!("{name:?}: {error}"))?;
        Ok((name, entry))
    };
    let mut entries: Vec<(String, Entry)> =
        header.into_iter().map(entry).collect::<Result<_, String>>()?;
    entries.sort_by(|(name, entry), (other_name, other)| {
        (entry.data_offsets, name).cmp(&(other.data_offsets, other_name))
    });
    let start = 8 + length;
    let bytes = entries.iter().map(|(_, entry)| entry.data_offsets.1 as u64).max().unwrap_or(0);
    if start.saturating_add(bytes) > total {
        let wanted = start.saturating_add(bytes);
        return Err(format!("truncated: {total} bytes, its header expects {wanted}"));
    }
    let mut contents = Contents { metadata, ..Contents::default() };
    for (name, entry) in entries {
        let (first, end) = entry.data_offsets;
        let view = view(&entry, contents.storages.len());
        let type_name = match &view {
            Ok(view) => view.dtype.name().to_owned(),
            Err(_) => entry.dtype,
        };
        contents.storages.push(Storage {
            bytes: end.saturating_sub(first),
            place: Place::Offset(start.saturating_add(first as u64)),
        });
        contents.tensors.push(StoredTensor { name, type_name, shape: entry.shape, view });
    }
    Ok(contents)
}

/// A tensor fills its storage.
fn view(entry: &Entry, storage: usize) -> Result<View, String> {
    let Entry { dtype, shape, data_offsets: (first, end) } = entry;
    let Some(dtype) = DType::of_safetensors(dtype) else {
        return Err(format!("a tensor of {dtype:?} cannot be read as f32"));
    };
    let elements = shape.iter().try_fold(1usize, |n, &length| n.checked_mul(length));
    let bytes = elements.and_then(|elements| elements.checked_mul(dtype.size()));
    if shape.len() > DIMENSIONS || bytes.is_none() || bytes != end.checked_sub(*first) {
        let dims = shape.len();
        return Err(format!("{dims} dimensions of {}, bytes {first} to {end}", dtype.name()));
    }
    Ok(View { dtype, strides: contiguous(shape), offset: 0, storage })
}
