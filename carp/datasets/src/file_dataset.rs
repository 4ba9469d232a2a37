//! Image files, decoded on demand; the most recent stay in memory up to a limit.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use files::{Error, Result};

use crate::dataset::Dataset;
use crate::image::Image;
use crate::labels::Labels;

/// Image files with or without labels.
pub struct FileDataset {
    name: String,
    files: Vec<PathBuf>,
    labels: Labels,
    classes: Vec<String>,
    strict: bool,
    cache: Mutex<Cache>,
    skipped: AtomicUsize,
}

/// How to treat unreadable images, and how much memory decoded ones may use.
#[derive(Clone, Copy)]
pub struct Reading {
    /// Fail on an unreadable image instead of skipping it.
    pub strict: bool,
    /// Bytes for decoded images.
    pub cache: usize,
}

/// Decoded images, the oldest evicted first.
struct Cache {
    images: Vec<Option<Arc<Image>>>,
    order: VecDeque<usize>,
    bytes: usize,
    most: usize,
}

impl Cache {
    fn insert(&mut self, index: usize, image: &Arc<Image>) {
        let bytes = image.pixels.len();
        if bytes > self.most || self.images[index].is_some() {
            return;
        }
        while self.bytes + bytes > self.most {
            let Some(oldest) = self.order.pop_front() else { break };
            let old = self.images[oldest].take();
            self.bytes -= old.map_or(0, |image| image.pixels.len());
        }
        self.images[index] = Some(Arc::clone(image));
        self.order.push_back(index);
        self.bytes += bytes;
    }
}

impl FileDataset {
    /// `labels` has one entry per file or none; each is below the number of `classes`.
    pub fn new(
        name: String,
        files: Vec<PathBuf>,
        labels: Labels,
        classes: Vec<String>,
        reading: Reading,
    ) -> FileDataset {
        let cache = Cache {
            images: vec![None; files.len()],
            order: VecDeque::new(),
            bytes: 0,
            most: reading.cache,
        };
        FileDataset {
            name,
            files,
            labels,
            classes,
            strict: reading.strict,
            cache: Mutex::new(cache),
            skipped: AtomicUsize::new(0),
        }
    }

    fn decode(&self, index: usize) -> Result<Arc<Image>> {
        let path = &self.files[index];
        let decoded = image::ImageReader::open(path)
            .and_then(|reader| reader.with_guessed_format())
            .map_err(|source| Error::io(path, source))?
            .decode()
            .map_err(|error| Error::data(path, format!("cannot be decoded: {error}")))?
            .into_rgb8();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let pixels = decoded.into_raw();
        Ok(Arc::new(Image { height, width, channels: 3, pixels }))
    }
}

impl Dataset for FileDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn channels(&self) -> usize {
        3
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<u32> {
        match &self.labels {
            Labels::Single(labels) => labels.get(index).copied(),
            Labels::None | Labels::Multi { .. } => None,
        }
    }

    fn shown(&self, index: usize) -> Option<&[i32]> {
        match &self.labels {
            Labels::Multi { classes, shown } => shown.chunks(*classes).nth(index),
            Labels::None | Labels::Single(_) => None,
        }
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(PathBuf::as_path)
    }

    /// The image, or without `strict` the next readable one; which one depends only on the files.
    fn image(&self, index: usize) -> Result<Arc<Image>> {
        let lock = || self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut first_error = None;
        for step in 0..self.files.len() {
            let at = (index + step) % self.files.len();
            if let Some(image) = &lock().images[at] {
                return Ok(Arc::clone(image));
            }
            match self.decode(at) {
                Ok(image) => {
                    lock().insert(at, &image);
                    return Ok(image);
                }
                Err(error) if self.strict => return Err(error),
                Err(error) => {
                    // `eprintln!` would panic where standard error is closed.
                    let _ = writeln!(std::io::stderr(), "warning: skipped {error}");
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
        }
        let detail = first_error.map_or_else(String::new, |error| format!(", the first: {error}"));
        Err(Error::data(&self.name, format!("no image can be decoded{detail}")))
    }

    fn skipped(&self) -> usize {
        self.skipped.load(Ordering::Relaxed)
    }
}
