//! What `torch.save` writes since PyTorch 1.6: a zip archive without compression, with
//! `NAME/data.pkl` for the objects and `NAME/data/KEY` for the numbers of each storage.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::ZipArchive;

use super::file::{Contents, Place};
use super::pickle::Pickle;
use super::state_dict;

/// Names, shapes and places of all tensors.
///
/// # Errors
/// Not a whole archive, no `data.pkl`, another byte order, or what [`Pickle::read`] refuses.
pub fn contents(file: &mut BufReader<File>) -> Result<Contents, String> {
    let mut archive = open(file)?;
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let top = names.iter().find_map(|name| name.strip_suffix("/data.pkl"));
    let top = top.ok_or("a zip archive without data.pkl: not one of torch.save")?;
    if names.contains(&format!("{top}/constants.pkl")) {
        return Err(
            "a TorchScript program: save its weights alone, torch.save(model.state_dict(), FILE)"
                .to_owned(),
        );
    }
    if let Ok(mut order) = archive.by_name(&format!("{top}/byteorder")) {
        let mut text = String::new();
        order.by_ref().take(16).read_to_string(&mut text).map_err(broken)?;
        if text != "little" {
            return Err(format!("byte order {text}: only little-endian files are read"));
        }
    }
    let pickle = {
        let mut entry = archive.by_name(&format!("{top}/data.pkl")).map_err(broken)?;
        Pickle::read(&mut entry).map_err(|detail| format!("data.pkl: {detail}"))?
    };
    state_dict::contents(&pickle, |key, dtype, len| {
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
    })
}

/// The bytes of one entry, with its checksum proven.
///
/// # Errors
/// No such entry, another size than `want`, or damaged bytes.
pub fn entry(file: &mut BufReader<File>, name: &str, want: usize) -> Result<Vec<u8>, String> {
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

fn open(file: &mut BufReader<File>) -> Result<ZipArchive<&mut BufReader<File>>, String> {
    ZipArchive::new(file).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("not a whole zip archive: {error}")
}
