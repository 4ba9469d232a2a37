//! CIFAR-10 and CIFAR-100, binary versions (Krizhevsky, 2009).
//!
//! A record is one label byte (CIFAR-100: coarse, then fine) and 3072 pixels: 32x32 planes of red,
//! green and blue.

use std::path::{Path, PathBuf};

use super::Splits;
use super::memory::MemoryDataset;
use super::reading::{check_labels, class_names, find, interleave, read};
use crate::error::{Error, Result};

const PIXELS: usize = 3 * 32 * 32;

/// Opens data_batch_1.bin to data_batch_5.bin and test_batch.bin.
///
/// # Errors
/// Missing or truncated files, labels out of range.
pub fn open10(folder: &Path) -> Result<Splits> {
    let folder = inner(folder, "cifar-10-batches-bin");
    let train: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    let classes = class_names(&folder.join("batches.meta.txt"), 10);
    Ok(Splits::labelled(
        split(&folder, "CIFAR-10, train", &train, 1, &classes)?,
        split(&folder, "CIFAR-10, test", &["test_batch.bin"], 1, &classes)?,
    ))
}

/// Opens train.bin and test.bin, with the fine labels.
///
/// # Errors
/// Missing or truncated files, labels out of range.
pub fn open100(folder: &Path) -> Result<Splits> {
    let folder = inner(folder, "cifar-100-binary");
    let classes = class_names(&folder.join("fine_label_names.txt"), 100);
    Ok(Splits::labelled(
        split(&folder, "CIFAR-100, train", &["train.bin"], 2, &classes)?,
        split(&folder, "CIFAR-100, test", &["test.bin"], 2, &classes)?,
    ))
}

/// The folder that the archive unpacks to may be named itself or by its parent.
fn inner(folder: &Path, name: &str) -> PathBuf {
    let inner = folder.join(name);
    if inner.is_dir() { inner } else { folder.to_owned() }
}

fn split(
    folder: &Path,
    name: &str,
    files: &[&str],
    label_bytes: usize,
    classes: &[String],
) -> Result<MemoryDataset> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        let path = find(folder, &[file])?;
        let bytes = read(&path)?;
        let record = label_bytes + PIXELS;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let detail = format!(
                "truncated: {} bytes are no whole number of records of {record}",
                bytes.len()
            );
            return Err(Error::data(path, detail));
        }
        let first = labels.len();
        for record in bytes.chunks_exact(record) {
            // The last label byte is the fine one.
            labels.push(u32::from(record[label_bytes - 1]));
            interleave(&record[label_bytes..], 3, &mut pixels);
        }
        check_labels(&path, &labels[first..], classes.len())?;
    }
    let (name, classes) = (name.to_owned(), classes.to_vec());
    Ok(MemoryDataset { name, size: (32, 32, 3), pixels, labels, classes })
}
