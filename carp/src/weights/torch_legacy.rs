//! What `torch.save` wrote before PyTorch 1.6: five pickles (a magic number, the version, facts of
//! the machine, the objects, the keys of the storages), then for each key how many numbers it has
//! (i64) and the numbers. Many published checkpoints are such files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::file::{Contents, Place};
use super::pickle::{Object, Pickle};
use super::state_dict;

/// 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version there was.
const VERSION: i64 = 1001;

/// Names, shapes and places of all tensors.
///
/// # Errors
/// Not such a file, cut short, or what [`Pickle::read`] refuses.
pub fn contents(file: &mut BufReader<File>) -> Result<Contents, String> {
    let total = file.get_ref().metadata().map_err(|error| error.to_string())?.len();
    let no_magic = "a pickle, but none of torch.save";
    let magic = Pickle::read(file).map_err(|_| no_magic)?;
    if magic.root() != &Object::BigInt(MAGIC.to_vec()) {
        return Err(no_magic.to_owned());
    }
    let version = Pickle::read(file)?;
    if version.root() != &Object::Int(VERSION) {
        return Err(format!("version {:?} of the format, should be {VERSION}", version.root()));
    }
    let machine = Pickle::read(file)?;
    if let Object::Dict(facts) = machine.root() {
        let is_order = |key| machine.get(key) == &Object::Text("little_endian".to_owned());
        let order = facts.iter().find(|(key, _)| is_order(*key));
        if order.is_some_and(|(_, value)| machine.get(*value) == &Object::Bool(false)) {
            return Err("big-endian: only little-endian files are read".to_owned());
        }
    }
    let objects = Pickle::read(file).map_err(|detail| format!("its objects: {detail}"))?;
    let keys = Pickle::read(file).map_err(|detail| format!("its list of storages: {detail}"))?;
    let Object::List(order) = keys.root() else {
        return Err("its storages are no list".to_owned());
    };
    // How large a storage is depends on its type, which only the objects tell.
    let mut described = HashMap::new();
    for object in objects.all() {
        if let Object::Persistent(id) = object {
            let part = state_dict::description(&objects, *id)?;
            described.insert(part.key, (part.dtype, part.len));
        }
    }
    let mut places = HashMap::new();
    for &key in order {
        let Object::Text(key) = keys.get(key) else {
            return Err("a storage without a name".to_owned());
        };
        let &(dtype, len) =
            described.get(key).ok_or_else(|| format!("no type of storage {key}"))?;
        let mut numbers = [0; 8];
        let cut = |_| format!("cut short before storage {key}");
        file.read_exact(&mut numbers).map_err(cut)?;
        let numbers = u64::from_le_bytes(numbers);
        if numbers != len as u64 {
            return Err(format!("storage {key} has {numbers} numbers, expected {len}"));
        }
        let start = file.stream_position().map_err(|error| error.to_string())?;
        let end = numbers.checked_mul(dtype.size() as u64).and_then(|size| start.checked_add(size));
        let end = end.filter(|&end| end <= total);
        let end =
            end.ok_or_else(|| format!("cut short: storage {key} ends behind {total} bytes"))?;
        file.seek(SeekFrom::Start(end)).map_err(|error| error.to_string())?;
        places.insert(key, start);
    }
    state_dict::contents(&objects, |key, _, _| {
        let start = places.get(&key.to_owned());
        start.map(|&start| Place::Offset(start)).ok_or_else(|| format!("has no storage {key}"))
    })
}
