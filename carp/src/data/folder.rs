//! A folder of image files, decoded when they are needed.
//!
//! `train/` with `val/` or `test/` are the splits, with a folder per class in each. Otherwise all
//! images below the folder are to learn from; where they lie in two or more class folders, every
//! tenth is held out for k-NN. Flat or nested folders without classes need no labels at all.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use image::ImageFormat;
use walkdir::WalkDir;

use super::{Dataset, Image, Splits};
use crate::error::{Error, Result};

/// Every so many images of a folder without a test split are held out.
const HELD_OUT: usize = 10;

/// Image files below a folder.
pub struct FolderDataset {
    name: String,
    files: Vec<PathBuf>,
    labels: Vec<u32>,
    classes: Vec<String>,
    strict: bool,
    cache: Mutex<Cache>,
    skipped: AtomicUsize,
}

/// Decoded images, the oldest leaving first.
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

/// Opens a folder with at most `cache` bytes of decoded images in memory.
///
/// # Errors
/// No such folder, or no images in it.
pub fn open(folder: &Path, strict: bool, cache: usize) -> Result<Splits> {
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
        return Ok(train.splits(Some(test), strict, cache));
    }
    Ok(Listing::new(folder)?.splits(None, strict, cache))
}

/// The image files below a folder, in order of their paths.
struct Listing {
    folder: PathBuf,
    files: Vec<PathBuf>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl Listing {
    fn new(folder: &Path) -> Result<Listing> {
        let mut files = Vec::new();
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(folder).to_owned();
                Error::data(path, format!("cannot be listed: {error}"))
            })?;
            let known = ImageFormat::from_path(entry.path()).is_ok_and(|f| f.reading_enabled());
            if entry.file_type().is_file() && known {
                files.push(entry.into_path());
            }
        }
        if files.is_empty() {
            return Err(Error::data(folder, "no images in it or below it"));
        }
        // The first folder on the way to each file is its class, if no file lies outside of one.
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

    fn dataset(&self, keep: impl Fn(usize) -> bool, strict: bool, cache: usize) -> FolderDataset {
        let kept: Vec<usize> = (0..self.files.len()).filter(|&i| keep(i)).collect();
        FolderDataset {
            name: self.folder.display().to_string(),
            files: kept.iter().map(|&i| self.files[i].clone()).collect(),
            labels: kept.iter().filter_map(|&i| self.labels.get(i).copied()).collect(),
            classes: self.classes.clone(),
            strict,
            cache: Mutex::new(Cache {
                images: vec![None; kept.len()],
                order: VecDeque::new(),
                bytes: 0,
                most: cache,
            }),
            skipped: AtomicUsize::new(0),
        }
    }

    fn splits(self, test: Option<Listing>, strict: bool, cache: usize) -> Splits {
        if self.classes.is_empty() {
            let pretrain = Arc::new(self.dataset(|_| true, strict, cache));
            return Splits { pretrain, train: None, test: None };
        }
        // Both splits share the memory.
        let half = cache / 2;
        match test {
            Some(test) => Splits::labelled(
                self.dataset(|_| true, strict, half),
                test.dataset(|_| true, strict, half),
            ),
            None => Splits::labelled(
                self.dataset(|i| i % HELD_OUT != HELD_OUT - 1, strict, half),
                self.dataset(|i| i % HELD_OUT == HELD_OUT - 1, strict, half),
            ),
        }
    }
}

impl FolderDataset {
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

impl Dataset for FolderDataset {
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
        self.labels.get(index).copied()
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(PathBuf::as_path)
    }

    /// The image, or without `strict` the next one that can be read: which one depends on the files
    /// alone.
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
                    eprintln!("warning: skipped {error}");
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
