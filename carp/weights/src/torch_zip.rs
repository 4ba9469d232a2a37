//! The `torch.save` format since PyTorch 1.6: a zip archive with `NAME/data.pkl` for the objects and
//! `NAME/data/KEY` for the numbers of each storage. PyTorch does not compress it; other programs do,
//! and PyTorch reads that.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use files::{Error, Result, most_unpacked, read_at_most};
use pickle::Pickle;
use zip::ZipArchive;

use crate::state_dict;
use crate::stored_tensor::{Contents, Place};

/// Bytes that a compressed description, or compressed numbers, may always hold: layers can be zero.
const ALWAYS_OBJECTS: u64 = 1 << 20;
const ALWAYS_NUMBERS: u64 = 1 << 26;

/// A result whose error does not yet name the file.
type Fallible<T> = std::result::Result<T, String>;

/// Names, shapes and locations of all tensors.
///
/// # Errors
/// A damaged archive, no `data.pkl`, another byte order, or a pickle that [`Pickle::read`] refuses.
pub fn contents(path: &Path, file: &mut BufReader<File>) -> Result<Contents> {
    let data = |detail: String| Error::data(path, detail);
    let mut archive = open(file).map_err(data)?;
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let is_objects = |name: &&str| *name == "data.pkl" || name.ends_with("/data.pkl");
    let objects = names.iter().map(String::as_str).find(is_objects);
    let objects = objects
        .ok_or_else(|| data("a zip archive without data.pkl: not from torch.save".to_owned()))?;
    let top = &objects[..objects.len() - "data.pkl".len()];
    if names.contains(&format!("{top}constants.pkl")) {
        return Err(Error::data(
            path,
            "a TorchScript program: save only its weights, torch.save(model.state_dict(), FILE)",
        ));
    }
    let order = format!("{top}byteorder");
    if names.contains(&order) && read(&mut archive, &order).map_err(data)? != b"little" {
        return Err(Error::data(path, "big-endian: only little-endian files can be read"));
    }
    let bytes = read(&mut archive, objects).map_err(data)?;
    let pickle = Pickle::read(path, &bytes)?;
    let place = |key: &str, bytes: usize| {
        let name = format!("{top}data/{key}");
        let entry = archive.by_name(&name).map_err(|error| format!("{name}: {error}"))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if size != bytes as u64 {
            return Err(format!("{name} has {size} bytes, expected {bytes}"));
        }
        if size > most_unpacked(packed, ALWAYS_NUMBERS) {
            return Err(format!("{name} has {packed} bytes that unpack to {size}"));
        }
        Ok(Place::Entry(name))
    };
    state_dict::contents(&pickle, place).map_err(data)
}

/// The bytes of one entry, with its checksum verified.
///
/// # Errors
/// A missing entry, a size other than `want`, or damaged bytes.
pub fn entry(file: &mut BufReader<File>, name: &str, want: usize) -> Fallible<Vec<u8>> {
    let mut archive = open(file)?;
    let entry = archive.by_name(name).map_err(|error| format!("{name}: {error}"))?;
    let bytes = read_at_most(entry, want as u64).map_err(|error| format!("{name}: {error}"))?;
    bytes
        .filter(|bytes| bytes.len() == want)
        .ok_or_else(|| format!("{name} has not the {want} bytes that are expected"))
}

/// The bytes of a description, which is small.
fn read(archive: &mut ZipArchive<&mut BufReader<File>>, name: &str) -> Fallible<Vec<u8>> {
    let entry = archive.by_name(name).map_err(|error| format!("{name}: {error}"))?;
    let most = most_unpacked(entry.compressed_size(), ALWAYS_OBJECTS);
    read_at_most(entry, most)
        .map_err(|error| format!("{name}: {error}"))?
        .ok_or_else(|| format!("{name} unpacks to more than {most} bytes"))
}

fn open(file: &mut BufReader<File>) -> Fallible<ZipArchive<&mut BufReader<File>>> {
    ZipArchive::new(file).map_err(|error| format!("not a whole zip archive: {error}"))
}
