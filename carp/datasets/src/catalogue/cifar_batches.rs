//! CIFAR-10 and CIFAR-100 (Krizhevsky, 2009).
//!
//! Binary version: a record is one label byte (CIFAR-100: coarse, then fine) and 3072 pixels: 32x32
//! planes of red, green and blue. Python version: a pickle with `data`, an array `[N,3072]` of the
//! same pixels, and `labels` or `fine_labels`; read as plain values, never run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{Error, Result};
use pickle::{Item, Pickle};

use crate::binary_file::{check_labels, class_names, find, interleave, numbered, read};
use crate::catalogue::contents::{Contents, Split};
use crate::memory_dataset::MemoryDataset;

const PIXELS: usize = 3 * 32 * 32;

/// The differences between the two data sets.
struct Version {
    title: &'static str,
    classes: usize,
    label_bytes: usize,
    /// Names of the training files, without the `.bin` of the binary version.
    train: &'static [&'static str],
    test: &'static str,
    /// Class names of the binary version.
    names: &'static str,
    /// For the Python version: file and key of the class names, key of the labels.
    python: [&'static str; 3],
}

const TEN: Version = Version {
    title: "CIFAR-10",
    classes: 10,
    label_bytes: 1,
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    names: "batches.meta.txt",
    python: ["batches.meta", "label_names", "labels"],
};

const HUNDRED: Version = Version {
    title: "CIFAR-100",
    classes: 100,
    label_bytes: 2,
    train: &["train"],
    test: "test",
    names: "fine_label_names.txt",
    python: ["meta", "fine_label_names", "fine_labels"],
};

/// Opens data_batch_1.bin to data_batch_5.bin and test_batch.bin, or those without `.bin`.
///
/// # Errors
/// Missing or truncated files, labels out of range.
pub fn open10(folder: &Path) -> Result<Contents> {
    open(folder, &TEN)
}

/// Opens train.bin and test.bin, or those without `.bin`, with the fine labels.
///
/// # Errors
/// Missing or truncated files, labels out of range.
pub fn open100(folder: &Path) -> Result<Contents> {
    open(folder, &HUNDRED)
}

fn open(folder: &Path, version: &Version) -> Result<Contents> {
    let is_python = folder.join(version.python[0]).is_file()
        || (folder.join(version.test).is_file()
            && !folder.join(format!("{}.bin", version.test)).is_file());
    let classes = if is_python {
        python_names(&folder.join(version.python[0]), version)?
    } else {
        class_names(&folder.join(version.names), version.classes)
    };
    let mut splits = Vec::new();
    for (name, files) in [("train", version.train), ("test", &[version.test])] {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in files {
            let first = labels.len();
            let path = if is_python {
                python(&find(folder, &[file])?, version, &mut pixels, &mut labels)?
            } else {
                let path = find(folder, &[&format!("{file}.bin")])?;
                binary(path, version, &mut pixels, &mut labels)?
            };
            check_labels(&path, &labels[first..], version.classes)?;
        }
        let title = format!("{}, {name}", version.title);
        let classes = classes.clone();
        let data = MemoryDataset::new(title, (32, 32, 3), &pixels, labels, classes);
        splits.push(Split::whole(name, Arc::new(data)));
    }
    Ok(Contents::new(classes, splits))
}

/// Appends the records of a file; returns its path.
fn binary(
    path: PathBuf,
    version: &Version,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<PathBuf> {
    let bytes = read(&path)?;
    let record = version.label_bytes + PIXELS;
    if bytes.is_empty() || bytes.len() % record != 0 {
        let detail = format!(
            "truncated: {} bytes are not a whole number of records of {record}",
            bytes.len()
        );
        return Err(Error::data(path, detail));
    }
    for record in bytes.chunks_exact(record) {
        // The last label byte is the fine one.
        labels.push(u32::from(record[version.label_bytes - 1]));
        interleave(&record[version.label_bytes..], 3, pixels);
    }
    Ok(path)
}

/// Appends the images of a pickle; returns its path.
fn python(
    path: &Path,
    version: &Version,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<PathBuf> {
    let bytes = read(path)?;
    let pickle = Pickle::read(path, &bytes)?;
    let get = |key: &str, wanted: &str| {
        let root = pickle.root();
        root.get(key).ok_or_else(|| {
            let detail = format!("is {}, has no {key:?}, should be {wanted}", root.kind());
            Error::data(path, detail)
        })
    };
    let wanted = "an array [N,3072] of uint8";
    let data = get("data", wanted)?
        .array()
        .filter(|array| array.dtype == "u1" && matches!(array.shape.as_slice(), [_, PIXELS]));
    let data = data.ok_or_else(|| Error::data(path, format!("\"data\" should be {wanted}")))?;
    let wanted = "a list of labels";
    let key = version.python[2];
    let given = get(key, wanted)?.numbers();
    let given = given.ok_or_else(|| Error::data(path, format!("{key:?} should be {wanted}")))?;
    let is_label =
        |number: &f64| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number);
    if let Some(at) = given.iter().position(|number| !is_label(number)) {
        let detail = format!("label {} of image {at} should be a class from 0", given[at]);
        return Err(Error::data(path, detail));
    }
    if given.len() != data.shape[0] {
        let detail = format!("{} labels for {} images", given.len(), data.shape[0]);
        return Err(Error::data(path, detail));
    }
    labels.extend(given.into_iter().map(|label| label as u32));
    for record in data.bytes.chunks_exact(PIXELS) {
        interleave(record, 3, pixels);
    }
    Ok(path.to_owned())
}

/// Class names of the Python version, or numbers if the file is missing.
fn python_names(path: &Path, version: &Version) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok(numbered(version.classes));
    }
    let bytes = read(path)?;
    let pickle = Pickle::read(path, &bytes)?;
    let names = pickle.root().get(version.python[1]).and_then(Item::texts);
    names.filter(|names| names.len() == version.classes).ok_or_else(|| {
        let detail = format!("{:?} should be {} names", version.python[1], version.classes);
        Error::data(path, detail)
    })
}
