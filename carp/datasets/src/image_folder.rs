//! A folder of image files, decoded on demand.
//!
//! `train/` with `val/` or `test/` are the splits, with a folder per class in each. Otherwise all
//! images below the folder are for training; if they are in two or more class folders, every tenth
//! is held out for k-NN. Flat or nested folders without classes need no labels.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{Error, Result};
use image::ImageFormat;
use walkdir::WalkDir;

use crate::file_dataset::{FileDataset, Reading};
use crate::labels::Labels;
use crate::splits::Splits;

/// One in this many images is held out of a folder without a test split.
const HELD_OUT: usize = 10;

/// Opens a folder.
///
/// # Errors
/// A missing folder, or no images in it.
pub fn open(folder: &Path, reading: Reading) -> Result<Splits> {
    if !folder.is_dir() {
        return Err(Error::data(folder, "no such folder"));
    }
    let train = folder.join("train");
    let test = ["val", "test"].map(|name| folder.join(name)).into_iter().find(|p| p.is_dir());
    if let (true, Some(test)) = (train.is_dir(), test) {
        let (train, test) = (Listing::new(&train)?, Listing::new(&test)?);
        if train.classes.len() > 1 && train.classes != test.classes {
            let detail = format!(
                "its class folders {:?} are not those of train, {:?}",
                test.classes, train.classes
            );
            return Err(Error::data(test.folder, detail));
        }
        return Ok(train.splits(Some(test), reading));
    }
    Ok(Listing::new(folder)?.splits(None, reading))
}

/// The image files below a folder, sorted by path.
pub(super) struct Listing {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) labels: Vec<u32>,
    pub(super) classes: Vec<String>,
}

/// Whether a file name has the extension of a supported image format.
fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// The image files directly in a folder, sorted by name.
///
/// # Errors
/// A missing folder, or no images in it.
pub(super) fn images_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|path| is_image(path) && path.is_file()).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::data(folder, "no images in it"));
    }
    Ok(files)
}

impl Listing {
    pub(super) fn new(folder: &Path) -> Result<Listing> {
        let mut files = Vec::new();
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_owned();
                Error::data(path, format!("cannot be listed: {error}"))
            })?;
            if entry.file_type().is_file() && is_image(entry.path()) {
                files.push(entry.into_path());
            }
        }
        if files.is_empty() {
            return Err(Error::data(folder, "no images in it or below it"));
        }
        // The top-level folder of each file is its class, unless some file is outside any.
        let class_of = |file: &PathBuf| -> Option<String> {
            let mut parts = file.strip_prefix(folder).ok()?.components();
            let first = parts.next()?.as_os_str().to_string_lossy().into_owned();
            parts.next().map(|_| first)
        };
        let names: Option<Vec<String>> = files.iter().map(class_of).collect();
        let names = names.unwrap_or_default();
        let mut classes = names.clone();
        classes.sort();
        classes.dedup();
        if classes.len() < 2 {
            return Ok(Listing {
                folder: folder.to_owned(),
                files,
                labels: vec![],
                classes: vec![],
            });
        }
        let label = |name: &String| classes.binary_search(name).expect("a class") as u32;
        let labels = names.iter().map(label).collect();
        Ok(Listing { folder: folder.to_owned(), files, labels, classes })
    }

    fn dataset(&self, keep: impl Fn(usize) -> bool, reading: Reading) -> FileDataset {
        let kept: Vec<usize> = (0..self.files.len()).filter(|&i| keep(i)).collect();
        let labels = if self.labels.is_empty() {
            Labels::None
        } else {
            Labels::Single(kept.iter().map(|&i| self.labels[i]).collect())
        };
        let files = kept.iter().map(|&i| self.files[i].clone()).collect();
        let name = self.folder.display().to_string();
        FileDataset::new(name, files, labels, self.classes.clone(), reading)
    }

    fn splits(self, test: Option<Listing>, reading: Reading) -> Splits {
        if self.classes.is_empty() {
            let pretrain = Arc::new(self.dataset(|_| true, reading));
            return Splits { pretrain, train: None, test: None };
        }
        // Both splits share one cache.
        let half = Reading { cache: reading.cache / 2, ..reading };
        match test {
            Some(test) => {
                Splits::labelled(self.dataset(|_| true, half), test.dataset(|_| true, half))
            }
            None => Splits::labelled(
                self.dataset(|i| i % HELD_OUT != HELD_OUT - 1, half),
                self.dataset(|i| i % HELD_OUT == HELD_OUT - 1, half),
            ),
        }
    }
}
