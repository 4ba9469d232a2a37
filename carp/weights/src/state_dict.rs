//! From PyTorch's pickles to named tensors: nested dictionaries become dotted names.
//!
//! Nothing is executed: [`pickle`] only records what a pickle would call. Whatever no tensor is
//! below of is read past.

use std::collections::{BTreeSet, HashMap};

use pickle::{Item, Pickle};

use crate::stored_tensor::{Contents, Place, Storage, StoredTensor, View};
use crate::torch_tensor::{LONGEST_NAME, TorchView, is_tensor, key_text, tensor};

/// Maximum nesting of dictionaries.
const DEPTH: usize = 12;
/// Bytes of tensors, their names and shapes, and of values looked at on the ways to them, for each
/// byte of the pickle: an optimizer's state and some aliases need 10, shared references could expand
/// to anything. A short pickle may have `ALWAYS`.
const EXPANSION: usize = 32;
const ALWAYS: usize = 1 << 20;

/// Calls that stand for plain values, not for objects worth a mention.
const PLAIN: [&str; 14] = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "_codecs.encode",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.set",
    "__builtin__.bytes",
    "__builtin__.bytearray",
    "__builtin__.set",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "numpy.dtype",
];

/// All tensors below the root. `place(key, bytes)` locates the storage with this key.
///
/// # Errors
/// More tensors, or more ways to values, than a pickle of its size has without sharing them.
pub fn contents(
    pickle: &Pickle,
    mut place: impl FnMut(&str, usize) -> Result<Place, String>,
) -> Result<Contents, String> {
    let mut contents = Contents { classes: classes(pickle), ..Contents::default() };
    let leads = leads(pickle);
    let mut numbers = HashMap::new();
    let mut left = ALWAYS + EXPANSION * pickle.end();
    let mut spend = |bytes: usize| {
        left = left.checked_sub(bytes).ok_or("the same values are shared too many times")?;
        Ok::<_, String>(())
    };
    // Depth first, with a stack of pending values, pushed in reverse.
    let mut to_do = vec![(String::new(), pickle.root(), 0)];
    while let Some((name, item, depth)) = to_do.pop() {
        if let Some(found) = tensor(item) {
            let view = found.view.and_then(|view| {
                let storage = storage(&view, &mut contents.storages, &mut numbers, &mut place)?;
                let TorchView { dtype, offset, strides, .. } = view;
                Ok(View { dtype, strides, offset, storage })
            });
            let (type_name, shape) = (found.type_name, found.shape);
            spend(size_of::<StoredTensor>() + type_name.len() + 2 * size_of_val(&shape[..]))?;
            contents.tensors.push(StoredTensor { name, type_name, shape, view });
        } else if depth < DEPTH {
            let before = to_do.len();
            for (index, (key, value)) in children(item).enumerate() {
                spend(1)?;
                if !leads[value.index()] {
                    continue;
                }
                let Some(key) = key.map_or_else(|| Some(index.to_string()), key_text) else {
                    continue;
                };
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                if name.len() <= LONGEST_NAME {
                    spend(name.len())?;
                    to_do.push((name, value, depth + 1));
                }
            }
            to_do[before..].reverse();
        }
    }
    Ok(contents)
}

/// Values of a dictionary with their keys, and elements of a list or tuple without.
fn children<'p>(item: Item<'p>) -> impl Iterator<Item = (Option<Item<'p>>, Item<'p>)> {
    let pairs = item.pairs().into_iter().flatten().map(|(key, value)| (Some(key), value));
    pairs.chain(item.items().into_iter().flatten().map(|item| (None, item)))
}

/// For each value, whether it is a tensor or one is below it.
fn leads(pickle: &Pickle) -> Vec<bool> {
    let mut leads: Vec<bool> = pickle.all().map(is_tensor).collect();
    // What is created before its elements, as lists and dictionaries are, is done in one round.
    for _ in 0..DEPTH {
        let mut is_done = true;
        for item in pickle.all().rev() {
            if !leads[item.index()] && children(item).any(|(_, below)| leads[below.index()]) {
                leads[item.index()] = true;
                is_done = false;
            }
        }
        if is_done {
            break;
        }
    }
    leads
}

/// The classes of the objects that are read past.
fn classes(pickle: &Pickle) -> Vec<String> {
    let beside = pickle.all().filter(|&item| !is_tensor(item));
    let mut classes: BTreeSet<String> = beside.filter_map(Item::class).collect();
    let is_array =
        |class: &str| class.starts_with("numpy.core.") || class.starts_with("numpy._core.");
    classes.retain(|class| !PLAIN.contains(&&class[..]) && !is_array(class));
    classes.into_iter().collect()
}

/// The index of a view's storage, added to the list if new.
fn storage(
    view: &TorchView,
    storages: &mut Vec<Storage>,
    numbers: &mut HashMap<String, usize>,
    place: &mut impl FnMut(&str, usize) -> Result<Place, String>,
) -> Result<usize, String> {
    let key = &view.storage.key;
    let bytes = view.storage.len.saturating_mul(view.storage.element);
    if let Some(&number) = numbers.get(key) {
        if storages[number].bytes != bytes {
            return Err(format!("storage {key:?} has two different descriptions"));
        }
        return Ok(number);
    }
    storages.push(Storage { bytes, place: place(key, bytes)? });
    numbers.insert(key.clone(), storages.len() - 1);
    Ok(storages.len() - 1)
}
