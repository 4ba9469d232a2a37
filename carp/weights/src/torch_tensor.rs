//! Tensors in PyTorch's pickles, read from the calls that would rebuild them.
//!
//! A closed list of calls describes numbers in a storage; every other kind of tensor, such as a
//! sparse one, is known by its name and shape alone.

use pickle::{Item, Node};

use crate::dtype::DType;

/// PyTorch's storages: element type and its size in bytes. Newer types have bytes alone as their
/// storage, and their tensors say what these are.
const STORAGES: [(&str, &str, usize); 19] = [
    ("DoubleStorage", "float64", 8),
    ("FloatStorage", "float32", 4),
    ("HalfStorage", "float16", 2),
    ("BFloat16Storage", "bfloat16", 2),
    ("LongStorage", "int64", 8),
    ("IntStorage", "int32", 4),
    ("ShortStorage", "int16", 2),
    ("CharStorage", "int8", 1),
    ("ByteStorage", "uint8", 1),
    ("BoolStorage", "bool", 1),
    ("ComplexDoubleStorage", "complex128", 16),
    ("ComplexFloatStorage", "complex64", 8),
    ("QInt8Storage", "qint8", 1),
    ("QInt32Storage", "qint32", 4),
    ("QUInt8Storage", "quint8", 1),
    ("QUInt4x2Storage", "quint4x2", 1),
    ("QUInt2x4Storage", "quint2x4", 1),
    ("UntypedStorage", "uint8", 1),
    ("_UntypedStorage", "uint8", 1),
];

/// No call has more arguments.
const MOST_ARGS: usize = 8;

/// A tensor as its call describes it.
pub struct TorchTensor {
    /// Its element type, such as "f32" or "complex64", or how it is stored, such as "sparse_coo".
    pub type_name: String,
    /// Lengths of the dimensions; empty if the call does not tell.
    pub shape: Vec<usize>,
    /// Where its numbers are, or why they cannot be read.
    pub view: Result<TorchView, String>,
}

/// Numbers in a storage.
pub struct TorchView {
    /// The storage.
    pub storage: TorchStorage,
    /// Element type.
    pub dtype: DType,
    /// First element.
    pub offset: usize,
    /// Elements from one index to the next, per dimension.
    pub strides: Vec<usize>,
}

/// PyTorch's description of a storage.
pub struct TorchStorage {
    /// Its name in the file.
    pub key: String,
    /// PyTorch's name of the element type.
    pub dtype: &'static str,
    /// Bytes of an element.
    pub element: usize,
    /// Number of elements.
    pub len: usize,
    /// Start of a part that tensors treat as a storage of its own (before PyTorch 1.6).
    pub first: usize,
}

/// The function that rebuilds a tensor, without `_rebuild_`, and its arguments.
fn rebuild<'p>(item: Item<'p>) -> Option<(&'p str, Item<'p>)> {
    let (mut global, mut args) = item.call()?;
    // A parameter holds a tensor, and so does a tensor with attributes.
    for _ in 0..4 {
        match global {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                (global, args) = args.items()?.next()?.call()?;
            }
            ("torch._tensor", "_rebuild_from_type" | "_rebuild_from_type_v2") => {
                let mut wrapped = args.items()?;
                (global, args) = (wrapped.next()?.global()?, wrapped.nth(1)?);
            }
            ("torch._utils", name) => return Some((name.strip_prefix("_rebuild_")?, args)),
            _ => return None,
        }
    }
    None
}

/// Whether a value is a tensor of any kind.
pub fn is_tensor(item: Item) -> bool {
    rebuild(item).is_some()
}

/// The tensor that a value is.
pub fn tensor(item: Item) -> Option<TorchTensor> {
    let (kind, args) = rebuild(item)?;
    let is_dense = matches!(kind, "tensor" | "tensor_v2" | "tensor_v3");
    Some(if is_dense { dense(kind, args) } else { opaque(kind, args) }.unwrap_or_else(|| {
        let reason = format!("the tensor at offset {} has an unknown description", item.offset());
        TorchTensor { type_name: kind.to_owned(), shape: vec![], view: Err(reason) }
    }))
}

/// `_rebuild_tensor(storage, offset, shape, strides)`; `_v2` appends (requires grad, hooks,
/// metadata), `_v3` (requires grad, hooks, element type, metadata).
fn dense(kind: &str, args: Item) -> Option<TorchTensor> {
    let args: Vec<Item> = args.items()?.take(MOST_ARGS).collect();
    let &[storage, offset, shape, strides, ..] = &args[..] else { return None };
    let storage = self::storage(storage)?;
    let offset = usize::try_from(offset.int()?).ok()?.saturating_add(storage.first);
    let (torch, metadata) = match kind {
        "tensor_v3" => match args.get(6)?.global()? {
            ("torch", name) => (name, args.get(7)),
            _ => return None,
        },
        _ => (storage.dtype, args.get(6)),
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() {
        return None;
    }
    // Views such as the imaginary part of a conjugate.
    let is_negated = metadata.and_then(|metadata| metadata.get("neg"));
    let is_negated = is_negated.is_some_and(|neg| *neg.node() == Node::Bool(true));
    Some(match DType::of_torch(torch) {
        Some(dtype) if !is_negated => TorchTensor {
            type_name: dtype.name().to_owned(),
            shape,
            view: Ok(TorchView { storage, dtype, offset, strides }),
        },
        _ => unreadable(if is_negated { "negated" } else { torch }, shape),
    })
}

/// Any other tensor: what it is, and a shape if one is among its arguments.
fn opaque(kind: &str, args: Item) -> Option<TorchTensor> {
    let args: Vec<Item> = args.items()?.take(MOST_ARGS).collect();
    Some(match (kind, &args[..]) {
        ("sparse_tensor", &[layout, parts]) => {
            let layout = layout.call()?.1.items()?.next()?.text()?;
            unreadable(
                layout.strip_prefix("torch.")?,
                parts.items()?.take(MOST_ARGS).find_map(sizes)?,
            )
        }
        ("qtensor", &[storage, _, shape, ..]) => {
            unreadable(self::storage(storage)?.dtype, sizes(shape)?)
        }
        _ => unreadable(kind, args.iter().copied().find_map(sizes).unwrap_or_default()),
    })
}

fn unreadable(type_name: &str, shape: Vec<usize>) -> TorchTensor {
    let type_name: String = type_name.chars().take(40).flat_map(char::escape_debug).collect();
    let view = Err(format!("a {type_name} tensor cannot be read as f32"));
    TorchTensor { type_name, shape, view }
}

/// A shape or strides: a tuple, or the call of `torch.Size` with one.
fn sizes(item: Item) -> Option<Vec<usize>> {
    let item = match item.call() {
        Some((("torch", "Size"), args)) => args.items()?.next()?,
        _ => item,
    };
    item.sizes()
}

/// Reads the persistent id `("storage", type, key, device, numbers)`; before 1.6 optionally with a
/// part of it, `(key, first, numbers)`.
pub fn storage(item: Item) -> Option<TorchStorage> {
    let size = |item: Item| usize::try_from(item.int()?).ok();
    let mut items = item.persistent()?.items()?;
    let (kind, class) = (items.next()?.text()?, items.next()?.global()?);
    let (key, _, len) = (key_text(items.next()?)?, items.next()?, size(items.next()?)?);
    let first = match items.next() {
        None => 0,
        Some(part) if part.node() == &Node::None => 0,
        Some(part) => size(part.items()?.nth(1)?)?,
    };
    let ("storage", ("torch" | "torch.storage", name)) = (kind, class) else { return None };
    let &(_, dtype, element) = STORAGES.iter().find(|storage| storage.0 == name)?;
    Some(TorchStorage { key, dtype, element, len, first })
}

/// A key as a part of a tensor's name; `None` for other keys than texts and integers, and for texts
/// longer than any name.
pub fn key_text(key: Item) -> Option<String> {
    match key.text() {
        Some(text) => (text.len() <= LONGEST_NAME).then(|| text.to_owned()),
        None => key.int().map(|number| number.to_string()),
    }
}

/// Bytes of the longest name that a tensor can have.
pub const LONGEST_NAME: usize = 500;
