//! Reading binary data files, with errors that name file, offset and sizes.

use std::path::{Path, PathBuf};

use files::{Error, Result, most_unpacked, read_at_most};
use flate2::read::GzDecoder;

/// Bytes that any compressed file may hold.
pub const ALWAYS_UNPACKED: u64 = 1 << 20;

/// The whole file, decompressed if its name ends in `.gz`.
///
/// # Errors
/// A missing file, broken gzip, or one that unpacks to far more than data do.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    if path.extension().is_none_or(|end| end != "gz") {
        return Ok(bytes);
    }
    let most = most_unpacked(bytes.len() as u64, ALWAYS_UNPACKED);
    read_at_most(GzDecoder::new(&bytes[..]), most)
        .map_err(|error| Error::data(path, format!("broken gzip: {error}")))?
        .ok_or_else(|| {
            let detail = format!("{} bytes that unpack to more than {most}", bytes.len());
            Error::data(path, detail)
        })
}

/// Whether a file or folder is there.
///
/// # Errors
/// If the system cannot tell, as without permission.
pub fn is_there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|source| Error::io(path, source))
}

/// The first of `names` that is a file in `folder`.
///
/// # Errors
/// If there is none, or the system cannot tell.
pub fn find(folder: &Path, names: &[&str]) -> Result<PathBuf> {
    if !is_there(folder)? || !folder.is_dir() {
        return Err(Error::data(folder, "no such folder"));
    }
    for path in names.iter().map(|name| folder.join(name)) {
        if is_there(&path)? && path.is_file() {
            return Ok(path);
        }
    }
    Err(Error::data(folder, format!("has no {}", names.join(" or "))))
}

/// Fails unless the file has the length that its format requires.
///
/// # Errors
/// Names both lengths.
pub fn expect_len(path: &Path, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let what = if found < expected { "truncated" } else { "too long" };
    Err(Error::data(path, format!("{what}: {found} bytes, expected {expected}")))
}

/// Fails if a label is not below the number of classes.
///
/// # Errors
/// Names the first one and its position.
pub fn check_labels(path: &Path, labels: &[u32], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(at) => {
            let detail = format!("label {} of image {at} is out of range 0..{classes}", labels[at]);
            Err(Error::data(path, detail))
        }
    }
}

/// Class names from a text file, one per line, or numbers if there is no such file.
pub fn class_names(path: &Path, classes: usize) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.len() == classes { names } else { numbered(classes) }
}

/// "0", "1", ...
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// Converts an image stored as one plane per channel to H,W,C.
pub fn interleave(planes: &[u8], channels: usize, pixels: &mut Vec<u8>) {
    let plane = planes.len() / channels;
    for at in 0..plane {
        pixels.extend((0..channels).map(|channel| planes[channel * plane + at]));
    }
}
