//! The image files in a folder, without what systems and tools put beside them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use files::{Error, Result, shown};
use image::ImageFormat;
use walkdir::{DirEntry, WalkDir};

use crate::warning::warn;

/// Folders that systems, archives and tools make; hidden ones need no entry here.
const NOT_DATA: [&str; 8] = [
    "__MACOSX",
    "__pycache__",
    "@eaDir",
    "@Recycle",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
];
/// Extensions of images that [`ImageFormat`] does not know.
const OTHER_IMAGES: [&str; 10] =
    ["jpe", "jif", "jfi", "pjpeg", "heic", "heif", "jxl", "jp2", "j2k", "apng"];

/// True for names of hidden files and folders (`.git`, `._1.jpg`), and of folders that are no data.
pub fn is_hidden(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || NOT_DATA.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a file name has the extension of an image. It may be one that cannot be decoded here:
/// then the file is reported as unreadable, not passed over.
fn is_image(path: &Path) -> bool {
    let is = |end: &OsStr| OTHER_IMAGES.iter().any(|known| end.eq_ignore_ascii_case(known));
    ImageFormat::from_path(path).is_ok() || path.extension().is_some_and(is)
}

/// The image files in and below a folder, sorted by path. What cannot be listed (a dangling link, a
/// folder of another user) is reported and left out, or refused if `strict`.
///
/// # Errors
/// A missing folder, or no images in it.
pub fn images_below(folder: &Path, strict: bool) -> Result<Vec<PathBuf>> {
    walk(folder, strict, WalkDir::new(folder), "no images in it or below it")
}

/// The image files directly in a folder: see [`images_below`].
///
/// # Errors
/// A missing folder, or no images in it.
pub fn images_in(folder: &Path, strict: bool) -> Result<Vec<PathBuf>> {
    walk(folder, strict, WalkDir::new(folder).max_depth(1), "no images in it")
}

fn walk(folder: &Path, strict: bool, walk: WalkDir, none: &str) -> Result<Vec<PathBuf>> {
    let is_data = |entry: &DirEntry| entry.depth() == 0 || !is_hidden(entry.file_name());
    let mut files = Vec::new();
    for entry in walk.follow_links(true).sort_by_file_name().into_iter().filter_entry(is_data) {
        let error = match entry {
            Ok(entry) => {
                if entry.file_type().is_file() && is_image(entry.path()) {
                    files.push(entry.into_path());
                }
                continue;
            }
            Err(error) => error,
        };
        let path = error.path().unwrap_or(folder);
        if error.depth() > 0 && path.file_name().is_some_and(is_hidden) {
            continue;
        }
        let reason = match error.io_error() {
            Some(source) => format!("cannot be listed: {source}"),
            None => "is a link to a folder around it".to_owned(),
        };
        if strict || error.depth() == 0 {
            return Err(Error::data(path, reason));
        }
        warn(format!("skipped {}: {reason}", shown(path)));
    }
    if files.is_empty() {
        return Err(Error::data(folder, none));
    }
    Ok(files)
}
