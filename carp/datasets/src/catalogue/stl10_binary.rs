//! STL-10, binary version (Coates, Ng and Lee, 2011).
//!
//! `*_X.bin`: 96x96 planes of red, green and blue, each stored column by column. `*_y.bin`: labels
//! from 1 to 10. The 100,000 unlabelled images (2.7 GB) for training are read one by one, not held
//! in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::{Error, Result};

use crate::binary_file::{check_labels, class_names, expect_len, find, read};
use crate::catalogue::contents::{Contents, Split};
use crate::dataset::Dataset;
use crate::image::Image;

const SIDE: usize = 96;
const PIXELS: usize = 3 * SIDE * SIDE;

/// One of the three parts.
struct Stl10 {
    name: &'static str,
    path: PathBuf,
    file: File,
    len: usize,
    labels: Vec<u32>,
    classes: Vec<String>,
}

/// Opens train, test and, if present, unlabeled.
///
/// # Errors
/// Missing or truncated files, labels out of range.
pub fn open(folder: &Path) -> Result<Contents> {
    let train = part(folder, "STL-10, train", "train", true)?;
    let classes = train.classes.clone();
    let test = part(folder, "STL-10, test", "test", true)?;
    let mut splits =
        vec![Split::whole("train", Arc::new(train)), Split::whole("test", Arc::new(test))];
    if folder.join("unlabeled_X.bin").is_file() {
        let data = part(folder, "STL-10, unlabeled", "unlabeled", false)?;
        splits.push(Split::whole("unlabeled", Arc::new(data)));
    }
    Ok(Contents::new(classes, splits))
}

fn part(folder: &Path, name: &'static str, prefix: &str, labelled: bool) -> Result<Stl10> {
    let path = find(folder, &[&format!("{prefix}_X.bin")])?;
    let file = File::open(&path).map_err(|source| Error::io(&path, source))?;
    let bytes = file.metadata().map_err(|source| Error::io(&path, source))?.len();
    let len = (bytes / PIXELS as u64).max(1);
    expect_len(&path, bytes, len.max(bytes.div_ceil(PIXELS as u64)) * PIXELS as u64)?;
    let classes = class_names(&folder.join("class_names.txt"), 10);
    let mut labels = Vec::new();
    if labelled {
        let path = find(folder, &[&format!("{prefix}_y.bin")])?;
        let bytes = read(&path)?;
        expect_len(&path, bytes.len() as u64, len)?;
        // Label 0 wraps to one out of range.
        labels = bytes.iter().map(|&label| u32::from(label).wrapping_sub(1)).collect();
        check_labels(&path, &labels, classes.len())?;
    }
    Ok(Stl10 { name, path, file, len: len as usize, labels, classes })
}

impl Dataset for Stl10 {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> usize {
        self.len
    }

    fn channels(&self) -> usize {
        3
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        let mut planes = vec![0; PIXELS];
        self.file
            .read_exact_at(&mut planes, (index * PIXELS) as u64)
            .map_err(|source| Error::io(&self.path, source))?;
        let mut pixels = Vec::with_capacity(PIXELS);
        for row in 0..SIDE {
            for column in 0..SIDE {
                let at = column * SIDE + row;
                pixels.extend((0..3).map(|channel| planes[channel * SIDE * SIDE + at]));
            }
        }
        Ok(Arc::new(Image { height: SIDE, width: SIDE, channels: 3, pixels }))
    }
}
