//! Helpers for reading indices: file locations, lines, class folders. Each error names the file
//! and, if any, the line.

use std::path::{Path, PathBuf};

use files::{Error, Result};

use crate::binary_file::is_there;
use crate::catalogue::contents::Split;
use crate::class_folders::ClassFolders;

/// Where a data set is stored.
pub struct Location<'a> {
    /// The folder that the user gave.
    pub folder: &'a Path,
    /// Which official partition, from 1.
    pub partition: usize,
    /// Refuse what cannot be listed instead of leaving it out.
    pub strict: bool,
}

impl Location<'_> {
    /// The folder that the archive unpacks to: one of `names` in the given folder, or that folder
    /// itself.
    pub fn inner(&self, names: &[&str]) -> PathBuf {
        let below = names.iter().map(|name| self.folder.join(name)).find(|path| path.is_dir());
        below.unwrap_or_else(|| self.folder.to_owned())
    }
}

/// The first of `names` that exists in `folder`.
///
/// # Errors
/// None exists: names the first and the archive that contains it. The system cannot tell.
pub fn need(folder: &Path, names: &[&str], archive: &str) -> Result<PathBuf> {
    for path in names.iter().map(|name| folder.join(name)) {
        if is_there(&path)? {
            return Ok(path);
        }
    }
    let detail = format!("no such file or folder: it comes with {archive}");
    Err(Error::data(folder.join(names[0]), detail))
}

/// An error in a line of a text file.
pub fn bad_line(path: &Path, line: usize, detail: impl std::fmt::Display) -> Error {
    Error::data(path, format!("line {line}: {detail}"))
}

/// The text of a file.
///
/// # Errors
/// A missing file, or not UTF-8.
pub fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::io(path, source))
}

/// The non-empty lines, each parsed by `parse`; if it returns `None`, the error says what a line
/// should be.
///
/// # Errors
/// A missing file, no lines, or an invalid line.
pub fn lines<T>(path: &Path, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for (line, content) in (1..).zip(text(path)?.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        all.push(parse(content).ok_or_else(|| {
            let shown: String = content.chars().take(80).collect();
            bad_line(path, line, format!("{shown:?} should be {wanted}"))
        })?);
    }
    if all.is_empty() {
        return Err(Error::data(path, "has no lines"));
    }
    Ok(all)
}

/// The distinct names on the lines of a file, sorted.
pub fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// A number from 1 as a label from 0; `None` if it is out of range.
pub fn from_one(number: f64, classes: usize) -> Option<u32> {
    (number.fract() == 0.0 && number >= 1.0 && number <= classes as f64).then(|| number as u32 - 1)
}

/// A split with a folder per class, named as in `classes`; the first split fills `classes`.
///
/// # Errors
/// No images, images outside class folders, other classes.
pub fn class_folders(
    name: &'static str,
    (folder, strict): (&Path, bool),
    classes: &mut Vec<String>,
) -> Result<Split> {
    let listing = ClassFolders::new(folder, strict)?;
    if listing.classes.is_empty() {
        return Err(Error::data(folder, "should have a folder per class with its images"));
    }
    if classes.is_empty() {
        *classes = listing.classes;
    } else if let Some(other) = differing(classes, &listing.classes) {
        return Err(Error::data(folder, other));
    }
    Ok(Split::single(name, listing.files.into_iter().zip(listing.labels).collect()))
}

/// The first class that is in only one of the two lists.
fn differing(expected: &[String], found: &[String]) -> Option<String> {
    let missing = expected.iter().find(|class| !found.contains(class));
    let strange = found.iter().find(|class| !expected.contains(class));
    match (missing, strange) {
        (_, Some(class)) => Some(format!("its class folder {class:?} is not in the other split")),
        (Some(class), None) => Some(format!("has no images of the class {class:?}")),
        (None, None) => None,
    }
}
