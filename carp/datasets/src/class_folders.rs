//! Images in a folder per class.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use files::Result;

use crate::image_files::images_below;

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
        let mut files = images_below(folder, strict)?;
        let names: BTreeSet<&OsStr> =
            files.iter().filter_map(|file| class_of(folder, file)).collect();
        let names: Vec<_> = names.into_iter().map(OsStr::to_owned).collect();
        let outside = files.iter().filter(|file| class_of(folder, file).is_none()).count();
        let inside = files.len() - outside;
        let is_labelled = names.len() > 1 && inside > outside;
        if names.len() > 1 && outside > 0 {
            let first = files.iter().find(|file| class_of(folder, file).is_none());
            let first = first.expect("at least one").display();
            if is_labelled {
                eprintln!(
                    "warning: left out {outside} of {} images, outside of the class folders: \
                     {first} ...",
                    files.len()
                );
            } else {
                eprintln!(
                    "warning: no classes in {}: {outside} images are not in folders, {inside} are",
                    folder.display()
                );
            }
        }
        let folder = folder.to_owned();
        if !is_labelled {
            return Ok(ClassFolders { folder, files, labels: vec![], classes: vec![] });
        }
        files.retain(|file| class_of(&folder, file).is_some());
        let label = |file: &PathBuf| {
            let class = class_of(&folder, file).expect("only those are left");
            names.binary_search_by(|name| name.as_os_str().cmp(class)).expect("its class") as u32
        };
        let labels = files.iter().map(label).collect();
        let classes = names.iter().map(|name| shown(name)).collect();
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
