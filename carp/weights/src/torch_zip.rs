//! The `torch.save` format since PyTorch 1.6: an uncompressed zip archive, with `NAME/data.pkl` for
//! the objects and `NAME/data/KEY` for the numbers of each storage.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use files::{Error, Result};
use pickle::Pickle;
use zip::ZipArchive;

use crate::dtype::DType;
use crate::state_dict::{self, GLOBALS};
use crate::stored_tensor::{Contents, Place};

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
    let top = names.iter().find_map(|name| name.strip_suffix("/data.pkl"));
    let top =
        top.ok_or_else(|| data("a zip archive without data.pkl: not from torch.save".to_owned()))?;
    if names.contains(&format!("{top}/constants.pkl")) {
        return Err(Error::data(
            path,
            "a TorchScript program: save only its weights, torch.save(model.state_dict(), FILE)",
        ));
    }
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(name).map_err(broken)?;
        entry.read_to_end(&mut bytes).map_err(broken)?;
        Ok::<_, String>(bytes)
    };
    let order = format!("{top}/byteorder");
    if names.contains(&order) && read(&order).map_err(data)? != b"little" {
        return Err(Error::data(path, "big-endian: only little-endian files can be read"));
    }
    let bytes = read(&format!("{top}/data.pkl")).map_err(data)?;
    let pickle = Pickle::read(path, &bytes, &GLOBALS)?;
    let place = |key: &str, dtype: DType, len: usize| {
        let name = format!("{top}/data/{key}");
        let size = match archive.by_name(&name) {
            Ok(entry) => entry.size(),
            Err(error) => return Err(format!("{name}: {error}")),
        };
        let want = (len as u64).saturating_mul(dtype.size() as u64);
        if size != want {
            return Err(format!("{name} has {size} bytes, expected {want}"));
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
    let mut entry = archive.by_name(name).map_err(broken)?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() == want {
        Ok(bytes)
    } else {
        Err(format!("{name} has {} bytes, expected {want}", bytes.len()))
    }
}

fn open(file: &mut BufReader<File>) -> Fallible<ZipArchive<&mut BufReader<File>>> {
    ZipArchive::new(file).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("not a whole zip archive: {error}")
}
