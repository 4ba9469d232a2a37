//! Images in a folder per class.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use files::Result;

use crate::image_files::images_below;
use crate::warning::warn;

/// The image files below a folder, sorted by path, with their classes if they are in folders.
pub struct ClassFolders {
    /// The folder.
    pub folder: PathBuf,
    /// Its image files.
    pub files: Vec<PathBuf>,
    /// One per file, or none.
    pub labels: Vec<u32>,
    /// The names of two or more folders in it, sorted; or none.
    pub classes: Vec<String>,
}

impl ClassFolders {
    /// The top-level folder of a file is its class. A few images outside of such folders are left
    /// out; if most are, there are no classes. Either is reported.
    ///
    /// # Errors
    /// A missing folder, no images in it; if `strict`, something that cannot be listed.
    pub fn new(folder: &Path, strict: bool) -> Result<ClassFolders> {
        let files = images_below(folder, strict)?;
        let is_inside = |file: &&PathBuf| class_of(folder, file).is_some();
        let (inside, outside): (Vec<&PathBuf>, Vec<&PathBuf>) = files.iter().partition(is_inside);
        let class = |file: &PathBuf| class_of(folder, file).expect("it is inside").to_owned();
        let names: BTreeSet<OsString> = inside.iter().map(|file| class(file)).collect();
        let names: Vec<OsString> = names.into_iter().collect();
        let is_labelled = names.len() > 1 && inside.len() > outside.len();
        if let (true, Some(first)) = (names.len() > 1, outside.first()) {
            let (outside, all) = (outside.len(), files.len());
            let (folder, first) = (files::shown(folder), files::shown(first));
            warn(if is_labelled {
                format!("left out {outside} of {all} images, outside of class folders: {first} ...")
            } else {
                format!("no classes in {folder}: {outside} of {all} images are not in folders")
            });
        }
        let folder = folder.to_owned();
        if !is_labelled {
            return Ok(ClassFolders { folder, files, labels: vec![], classes: vec![] });
        }
        let label = |file: &&PathBuf| names.binary_search(&class(file)).expect("its class") as u32;
        let labels = inside.iter().map(label).collect();
        let classes = names.iter().map(|name| shown(name)).collect();
        let files = inside.into_iter().cloned().collect();
        Ok(ClassFolders { folder, files, labels, classes })
    }
}

/// The first folder on the way to a file.
fn class_of<'a>(folder: &Path, file: &'a Path) -> Option<&'a OsStr> {
    let mut parts = file.strip_prefix(folder).ok()?.components();
    match (parts.next()?, parts.next()) {
        (Component::Normal(first), Some(_)) => Some(first),
        _ => None,
    }
}

/// A name as text; bytes that are not UTF-8 stay distinct, as in `b\xFCro`.
fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}
