//! From PyTorch's pickles to named tensors: nested dictionaries become dotted names.
//!
//! Nothing is executed: [`pickle`] only records what a pickle would call, and refuses any global
//! not in [`GLOBALS`].

use std::collections::HashMap;

use pickle::{Item, Node, Pickle};

use crate::dtype::DType;
use crate::stored_tensor::{Contents, Place, Storage, StoredTensor};

/// Maximum nesting of dictionaries.
const DEPTH: usize = 12;
/// Maximum values visited: far above any checkpoint, far below what shared references could expand
/// to.
const MOST: usize = 4_000_000;

/// The globals that checkpoints may name: for tensors, and for data stored with them (settings,
/// counters, random states), which is skipped.
pub const GLOBALS: [(&str, &str); 50] = [
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch", "DoubleStorage"),
    ("torch", "FloatStorage"),
    ("torch", "HalfStorage"),
    ("torch", "BFloat16Storage"),
    ("torch", "LongStorage"),
    ("torch", "IntStorage"),
    ("torch", "ShortStorage"),
    ("torch", "CharStorage"),
    ("torch", "ByteStorage"),
    ("torch", "BoolStorage"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch", "float64"),
    ("torch", "float32"),
    ("torch", "float16"),
    ("torch", "bfloat16"),
    ("torch", "int64"),
    ("torch", "int32"),
    ("torch", "int16"),
    ("torch", "int8"),
    ("torch", "uint8"),
    ("torch", "bool"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("argparse", "Namespace"),
    ("types", "SimpleNamespace"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("__builtin__", "set"),
    ("__builtin__", "dict"),
    ("__builtin__", "list"),
    ("__builtin__", "int"),
    ("__builtin__", "float"),
    ("__builtin__", "complex"),
    ("__builtin__", "bytearray"),
    ("builtins", "set"),
    ("builtins", "dict"),
    ("builtins", "int"),
    ("builtins", "float"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
];

/// All tensors below the root. `place(key, type, numbers)` locates the storage with this key.
///
/// # Errors
/// Tensors or storages not described as PyTorch does, or more values than any checkpoint has.
pub fn contents(
    pickle: &Pickle,
    mut place: impl FnMut(&str, DType, usize) -> Result<Place, String>,
) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut numbers = HashMap::new();
    let mut looked_at = 0;
    // Depth first, with a stack of pending values, pushed in reverse.
    let mut to_do = vec![(String::new(), pickle.root(), 0)];
    while let Some((name, item, depth)) = to_do.pop() {
        looked_at += 1;
        if looked_at > MOST {
            return Err(format!("more than {MOST} values refer to each other"));
        }
        if let Some(view) = tensor_view(item).map_err(|detail| format!("{name}: {detail}"))? {
            let storage = storage(&view, &mut contents.storages, &mut numbers, &mut place)
                .map_err(|detail| format!("{name}: {detail}"))?;
            contents.tensors.push(StoredTensor {
                name,
                shape: view.shape,
                strides: view.strides,
                offset: view.offset,
                storage,
            });
        } else if depth < DEPTH {
            let mut below = Vec::new();
            if let Some(pairs) = item.pairs() {
                below.extend(pairs.filter_map(|(key, value)| Some((key_text(key)?, value))));
            }
            if let Node::List(_) | Node::Tuple(_) = item.node() {
                let items = item.items().into_iter().flatten();
                below.extend(
                    (0..).zip(items).map(|(index, item): (u32, _)| (index.to_string(), item)),
                );
            }
            for (key, value) in below.into_iter().rev() {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                to_do.push((name, value, depth + 1));
            }
        }
    }
    Ok(contents)
}

fn key_text(key: Item) -> Option<String> {
    key.text().map(str::to_owned).or_else(|| key.int().map(|number| number.to_string()))
}

/// A tensor before its numbers are read.
struct TensorView {
    storage: Description,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The result of `_rebuild_tensor_v2(storage, offset, shape, strides, ...)` or
/// `_rebuild_parameter(tensor, ...)`; `None` if the value is not a tensor.
fn tensor_view(item: Item) -> Result<Option<TensorView>, String> {
    let mut item = item;
    // A parameter holds a tensor, not another parameter.
    for _ in 0..2 {
        let Some((("torch._utils", name), args)) = item.call() else { return Ok(None) };
        let bad = || format!("the tensor at offset {} has an unknown description", item.offset());
        let mut args = args.items().ok_or_else(bad)?;
        if name == "_rebuild_parameter" {
            item = args.next().ok_or_else(bad)?;
            continue;
        }
        let mut next = || args.next().ok_or_else(bad);
        let (storage, offset, shape, strides) = (next()?, next()?, next()?, next()?);
        let sizes = |item: Item| item.items()?.map(size).collect::<Option<Vec<usize>>>();
        let storage = description(storage)?;
        let offset = size(offset).ok_or_else(bad)?.saturating_add(storage.first);
        let (shape, strides) = (sizes(shape).ok_or_else(bad)?, sizes(strides).ok_or_else(bad)?);
        if shape.len() != strides.len() {
            return Err(bad());
        }
        return Ok(Some(TensorView { storage, offset, shape, strides }));
    }
    Err("a parameter of a parameter".to_owned())
}

fn size(item: Item) -> Option<usize> {
    usize::try_from(item.int()?).ok()
}

/// PyTorch's description of a storage.
pub struct Description {
    /// Its name in the file.
    pub key: String,
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub len: usize,
    /// Start of a part that tensors treat as a storage of its own (before 1.6).
    pub first: usize,
}

/// Reads the persistent id `("storage", type, key, device, numbers)`; before 1.6 optionally with a
/// part of it, `(key, first, numbers)`.
///
/// # Errors
/// Anything else.
pub fn description(storage: Item) -> Result<Description, String> {
    let read = || {
        let mut items = storage.persistent()?.items()?;
        let (kind, dtype) = (items.next()?.text()?, items.next()?.global()?);
        let (key, _, len) = (key_text(items.next()?)?, items.next()?, size(items.next()?)?);
        let first = match items.next() {
            None => 0,
            Some(part) if part.node() == &Node::None => 0,
            Some(part) => size(part.items()?.nth(1)?)?,
        };
        let dtype = match dtype {
            ("torch", name) => DType::of_storage(name)?,
            _ => return None,
        };
        (kind == "storage").then_some(Description { key, dtype, len, first })
    };
    let at = storage.offset();
    read().ok_or_else(|| format!("the storage at offset {at} has an unknown description"))
}

/// The index of a view's storage, added to the list if new.
fn storage(
    view: &TensorView,
    storages: &mut Vec<Storage>,
    numbers: &mut HashMap<String, usize>,
    place: &mut impl FnMut(&str, DType, usize) -> Result<Place, String>,
) -> Result<usize, String> {
    let Description { key, dtype, len, .. } = &view.storage;
    if let Some(&number) = numbers.get(key) {
        let known: &Storage = &storages[number];
        if (known.dtype, known.len) != (*dtype, *len) {
            return Err(format!("storage {key} has two different descriptions"));
        }
        return Ok(number);
    }
    storages.push(Storage { dtype: *dtype, len: *len, place: place(key, *dtype, *len)? });
    numbers.insert(key.clone(), storages.len() - 1);
    Ok(storages.len() - 1)
}
