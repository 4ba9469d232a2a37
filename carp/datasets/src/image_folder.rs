//! A folder of image files, decoded on demand.
//!
//! A training folder (`train`, `training`) with a test folder (`val`, `valid`, `validation`, `test`,
//! ...), in upper or lower case, are the splits, with a folder per class in each. Otherwise all
//! images below the folder are for training; if they are in two or more class folders, every tenth
//! is held out for k-NN. Flat or nested folders without classes need no labels.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{Error, Result};

use crate::class_folders::ClassFolders;
use crate::file_dataset::{FileDataset, Reading};
use crate::image_files::is_hidden;
use crate::labels::Labels;
use crate::splits::Splits;

/// One in this many images is held out of a folder without a test split.
const HELD_OUT: usize = 10;
/// Names of splits, the preferred first.
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 8] =
    ["val", "valid", "validation", "test", "testing", "dev", "eval", "evaluation"];

/// Opens a folder.
///
/// # Errors
/// A missing folder, or no images in it; splits with different classes, or a training split without
/// a test split beside other folders.
pub fn open(folder: &Path, reading: Reading) -> Result<Splits> {
    if !folder.is_dir() {
        return Err(Error::data(folder, "no such folder"));
    }
    let list = |folder: &Path| ClassFolders::new(folder, reading.strict);
    let below = folders_in(folder)?;
    match (split(&below, &TRAIN)?, split(&below, &TEST)?) {
        (Some(train), Some(test)) => {
            let (train, test) = (list(train)?, list(test)?);
            if train.classes.len() > 1 && train.classes != test.classes {
                let detail = format!(
                    "its class folders {:?} are not those of train, {:?}",
                    test.classes, train.classes
                );
                return Err(Error::data(test.folder, detail));
            }
            Ok(splits(&train, Some(&test), reading))
        }
        // A folder of folders is a split; a folder of images may be a class, such as railway trains.
        (Some(train), None) if !folders_in(train)?.is_empty() => match below.as_slice() {
            [_] => Ok(splits(&list(train)?, None, reading)),
            _ => {
                let detail = format!(
                    "a training split without a test split: beside it should be one of {}",
                    TEST.join(", ")
                );
                Err(Error::data(train, detail))
            }
        },
        _ => Ok(splits(&list(folder)?, None, reading)),
    }
}

/// The folders directly in a folder, without hidden ones.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))?;
    let visible =
        entries.filter_map(std::result::Result::ok).filter(|e| !is_hidden(&e.file_name()));
    Ok(visible.map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// The folder with one of these names, in upper or lower case.
fn split<'a>(folders: &'a [PathBuf], names: &[&str]) -> Result<Option<&'a PathBuf>> {
    for name in names {
        let is_named =
            |path: &&PathBuf| path.file_name().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let mut named = folders.iter().filter(is_named);
        match (named.next(), named.next()) {
            (Some(one), Some(other)) => {
                let detail = format!("is the same split as {}", one.display());
                return Err(Error::data(other, detail));
            }
            (Some(one), None) => return Ok(Some(one)),
            _ => {}
        }
    }
    Ok(None)
}

fn dataset(list: &ClassFolders, keep: impl Fn(usize) -> bool, reading: Reading) -> FileDataset {
    let kept: Vec<usize> = (0..list.files.len()).filter(|&i| keep(i)).collect();
    let labels = if list.labels.is_empty() {
        Labels::None
    } else {
        Labels::Single(kept.iter().map(|&i| list.labels[i]).collect())
    };
    let files = kept.iter().map(|&i| list.files[i].clone()).collect();
    let name = list.folder.display().to_string();
    FileDataset::new(name, files, labels, list.classes.clone(), reading).upright()
}

fn splits(train: &ClassFolders, test: Option<&ClassFolders>, reading: Reading) -> Splits {
    if train.classes.is_empty() {
        let pretrain = Arc::new(dataset(train, |_| true, reading));
        return Splits { pretrain, train: None, test: None };
    }
    // Both splits share one cache.
    let half = Reading { cache: reading.cache / 2, ..reading };
    match test {
        Some(test) => {
            Splits::labelled(dataset(train, |_| true, half), dataset(test, |_| true, half))
        }
        None => Splits::labelled(
            dataset(train, |i| i % HELD_OUT != HELD_OUT - 1, half),
            dataset(train, |i| i % HELD_OUT == HELD_OUT - 1, half),
        ),
    }
}
