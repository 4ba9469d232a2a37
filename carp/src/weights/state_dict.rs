//! From the objects of a pickle to named tensors: nested dictionaries become names with dots.

use std::collections::HashMap;

use super::dtype::DType;
use super::file::{Contents, Place, Storage, StoredTensor};
use super::pickle::{Global, Id, Object, Pickle, TensorView};

/// Dictionaries inside of dictionaries that are followed.
const DEPTH: usize = 12;
/// Objects that are looked at: far above any checkpoint, far below what a pickle could make of
/// shared references.
const MOST: usize = 4_000_000;

/// All tensors below the root. `place(key, storage)` says where a storage of PyTorch's key is.
///
/// # Errors
/// Storages described in another way than PyTorch's, or more objects than any checkpoint has.
pub fn contents(
    pickle: &Pickle,
    mut place: impl FnMut(&str, DType, usize) -> Result<Place, String>,
) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut numbers = HashMap::new();
    let mut looked_at = 0;
    // Depth first, by a stack of what is still to do: the last goes on first.
    let mut to_do = vec![(String::new(), pickle.root(), 0)];
    while let Some((name, object, depth)) = to_do.pop() {
        looked_at += 1;
        if looked_at > MOST {
            return Err(format!("more than {MOST} objects refer to each other"));
        }
        match object {
            Object::Dict(items) if depth < DEPTH => {
                for (key, value) in items.iter().rev() {
                    if let Some(key) = key_text(pickle.get(*key)) {
                        to_do.push((joined(&name, &key), pickle.get(*value), depth + 1));
                    }
                }
            }
            Object::List(items) | Object::Tuple(items) if depth < DEPTH => {
                for (index, &item) in items.iter().enumerate().rev() {
                    to_do.push((joined(&name, &index.to_string()), pickle.get(item), depth + 1));
                }
            }
            Object::Tensor(view) => {
                let (storage, offset) =
                    storage(pickle, view, &mut contents.storages, &mut numbers, &mut place)
                        .map_err(|detail| format!("{name}: {detail}"))?;
                contents.tensors.push(StoredTensor {
                    name,
                    shape: view.shape.clone(),
                    strides: view.strides.clone(),
                    offset,
                    storage,
                });
            }
            _ => {}
        }
    }
    Ok(contents)
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

fn key_text(key: &Object) -> Option<String> {
    match key {
        Object::Text(text) => Some(text.clone()),
        Object::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        Object::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What PyTorch says of a storage.
pub struct Description {
    /// Its name in the file.
    pub key: String,
    /// Type of its numbers.
    pub dtype: DType,
    /// How many there are.
    pub len: usize,
    /// Where a part of it begins that tensors take for a storage of its own (before 1.6).
    pub first: usize,
}

/// Reads `("storage", type, key, device, numbers)`, before 1.6 with a part: (key, first, numbers).
///
/// # Errors
/// Anything else.
pub fn description(pickle: &Pickle, id: Id) -> Result<Description, String> {
    let bad = || "a storage is described in an unknown way".to_owned();
    let Object::Tuple(items) = pickle.get(id) else { return Err(bad()) };
    let &[kind, dtype, key, _, len, ref rest @ ..] = &items[..] else { return Err(bad()) };
    let is_storage = key_text(pickle.get(kind)).as_deref() == Some("storage");
    let Object::Global(Global::Storage(dtype)) = pickle.get(dtype) else { return Err(bad()) };
    let (Some(key), Object::Int(len)) = (key_text(pickle.get(key)), pickle.get(len)) else {
        return Err(bad());
    };
    let first = match rest.first().map(|&part| pickle.get(part)) {
        None | Some(Object::None) => 0,
        Some(Object::Tuple(part)) => match part.get(1).map(|&first| pickle.get(first)) {
            Some(Object::Int(first)) => usize::try_from(*first).map_err(|_| bad())?,
            _ => return Err(bad()),
        },
        Some(_) => return Err(bad()),
    };
    let len = usize::try_from(*len).ok().filter(|_| is_storage).ok_or_else(bad)?;
    Ok(Description { key, dtype: *dtype, len, first })
}

/// The number of a view's storage, added to the list where it is new, and the view's first element
/// in it.
fn storage(
    pickle: &Pickle,
    view: &TensorView,
    storages: &mut Vec<Storage>,
    numbers: &mut HashMap<String, usize>,
    place: &mut impl FnMut(&str, DType, usize) -> Result<Place, String>,
) -> Result<(usize, usize), String> {
    let Object::Persistent(id) = pickle.get(view.storage) else {
        return Err("it has no storage".to_owned());
    };
    let Description { key, dtype, len, first } = description(pickle, *id)?;
    let offset = view.offset.saturating_add(first);
    if let Some(&number) = numbers.get(&key) {
        let known: &Storage = &storages[number];
        if (known.dtype, known.len) != (dtype, len) {
            return Err(format!("storage {key} is described in two ways"));
        }
        return Ok((number, offset));
    }
    storages.push(Storage { dtype, len, place: place(&key, dtype, len)? });
    numbers.insert(key, storages.len() - 1);
    Ok((storages.len() - 1, offset))
}
