//! Image files, decoded on demand; the most recent stay in memory up to a limit.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use files::{Error, Result};

use crate::dataset::Dataset;
use crate::decode::decode;
use crate::image::Image;
use crate::labels::Labels;
use crate::warning::warn;

/// Image files with or without labels.
pub struct FileDataset {
    name: String,
    files: Vec<PathBuf>,
    labels: Labels,
    classes: Vec<String>,
    strict: bool,
    /// Why every image is needed, if it is.
    needed: Option<&'static str>,
    upright: bool,
    cache: Mutex<Cache>,
    /// Numbers of the images found to be unreadable.
    unreadable: Mutex<BTreeSet<usize>>,
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
            needed: None,
            upright: false,
            cache: Mutex::new(cache),
            unreadable: Mutex::default(),
        }
    }

    /// The same, strict because every image is needed: errors tell `why`.
    pub fn needed(self, why: &'static str) -> FileDataset {
        FileDataset { strict: true, needed: Some(why), ..self }
    }

    /// The same, with pictures turned upright by their EXIF tags. Boxes and published results of a
    /// benchmark are of pixels as they are stored.
    pub fn upright(self) -> FileDataset {
        FileDataset { upright: true, ..self }
    }
}

impl Dataset for FileDataset {
    fn memory(&self) -> usize {
        locked(&self.cache).most
    }

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

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        if let Some(image) = &locked(&self.cache).images[index] {
            return Ok(Arc::clone(image));
        }
        let decoded = decode(&self.files[index], self.upright).map_err(|error| match self.needed {
            Some(why) => Error::data(&self.name, format!("{why}: {error}")),
            None => error,
        });
        let image = Arc::new(decoded?);
        locked(&self.cache).insert(index, &image);
        Ok(image)
    }

    fn readable(&self, index: usize) -> Result<Option<Arc<Image>>> {
        if self.is_unreadable(index) {
            return Ok(None);
        }
        match self.image(index) {
            Ok(image) => Ok(Some(image)),
            Err(error) if self.strict => Err(error),
            Err(error) => {
                locked(&self.unreadable).insert(index);
                warn(format!("skipped {error}"));
                Ok(None)
            }
        }
    }

    fn is_unreadable(&self, index: usize) -> bool {
        locked(&self.unreadable).contains(&index)
    }

    fn skipped(&self) -> usize {
        locked(&self.unreadable).len()
    }
}

/// What a thread that panicked left behind is whole: nothing panics between two changes.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
