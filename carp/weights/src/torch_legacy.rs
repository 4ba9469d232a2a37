//! The `torch.save` format before PyTorch 1.6: five pickles (a magic number, the version, machine
//! properties, the values, the storage keys), then for each key the count (i64) and the numbers.
//! Many published checkpoints use it.

use std::collections::HashMap;
use std::path::Path;

use files::{Error, Result};
use pickle::{Node, Pickle};

use crate::state_dict;
use crate::stored_tensor::{Contents, Place};
use crate::torch_tensor;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The only version.
const VERSION: i128 = 1001;

/// Names, shapes and locations of all tensors in a file with these `bytes`.
///
/// # Errors
/// Another format, a truncated file, or a pickle that [`Pickle::read`] refuses.
pub fn contents(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let refuse = |detail: &str| Error::data(path, detail);
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(path, &bytes[at..])?;
        at += pickle.end();
        Ok::<_, Error>((pickle, at))
    };
    let no_magic = |_| refuse("a pickle, but not from torch.save");
    let (magic, _) = next().map_err(no_magic)?;
    if magic.root().int() != Some(MAGIC) {
        return Err(refuse("a pickle, but not from torch.save"));
    }
    let (version, _) = next()?;
    if version.root().int() != Some(VERSION) {
        let detail = format!("version {:?} of torch.save's format", version.root().node());
        return Err(refuse(&format!("{detail}, only {VERSION} can be read")));
    }
    let (machine, _) = next()?;
    let little = machine.root().get("little_endian");
    if little.is_some_and(|little| little.node() == &Node::Bool(false)) {
        return Err(refuse("big-endian: only little-endian files can be read"));
    }
    let (values, _) = next()?;
    let (keys, start) = next()?;
    let data = |detail| Error::data(path, detail);
    let places = places(&values, &keys, bytes, start).map_err(data)?;
    let place = |key: &str, _| {
        let start = places.get(key).copied();
        start.map(Place::Offset).ok_or_else(|| format!("has no storage {key}"))
    };
    state_dict::contents(&values, place).map_err(data)
}

/// Where the numbers of each storage begin. Its size depends on its type, which only the values
/// give. Other persistent ids, such as the source code of a class, have no numbers.
fn places(
    values: &Pickle,
    keys: &Pickle,
    bytes: &[u8],
    start: usize,
) -> std::result::Result<HashMap<String, u64>, String> {
    let mut described = HashMap::new();
    for storage in values.all().filter_map(torch_tensor::storage) {
        described.insert(storage.key, (storage.element, storage.len));
    }
    let mut places = HashMap::new();
    let mut at = start;
    for key in keys.root().items().ok_or("its storages are not a list")? {
        let key = key.text().ok_or("a storage without a name")?;
        let (element, len) =
            described.get(key).ok_or_else(|| format!("no type of storage {key}"))?;
        let cut = || format!("truncated in storage {key}: {} bytes in total", bytes.len());
        let numbers = bytes.get(at..at + 8).ok_or_else(cut)?;
        let numbers = u64::from_le_bytes(numbers.try_into().expect("8 bytes"));
        if numbers != *len as u64 {
            return Err(format!("storage {key} has {numbers} numbers, expected {len}"));
        }
        at += 8;
        places.insert(key.to_owned(), at as u64);
        at = len.checked_mul(*element).and_then(|size| at.checked_add(size)).ok_or_else(cut)?;
        if at > bytes.len() {
            return Err(cut());
        }
    }
    Ok(places)
}
