//! Data sets: built in, or read as their makers publish them.

pub mod catalogue;
mod changed;
mod cifar;
mod files;
mod folder;
mod idx;
mod image;
mod mat;
mod memory;
mod reading;
pub mod shapes;
mod stl10;
mod subset;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::changed::{Change, Changed};
pub use self::files::{FileDataset, Reading};
pub use self::image::Image;
pub use self::memory::MemoryDataset;
pub use self::subset::Subset;
use crate::error::{Error, Result};

/// Pictures with or without labels.
pub trait Dataset: Send + Sync {
    /// Name for messages.
    fn name(&self) -> &str;
    /// Number of pictures.
    fn len(&self) -> usize;
    /// True if there are no pictures.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// 1 or 3, the same for all pictures.
    fn channels(&self) -> usize;
    /// Names of the classes; empty where there are no labels.
    fn classes(&self) -> &[String];
    /// Class of a picture.
    fn label(&self, index: usize) -> Option<u32>;
    /// Of a data set with any number of classes per picture: for each class 1 (the picture shows
    /// it), -1 (it does not) or 0 (it counts neither way).
    fn shown(&self, _index: usize) -> Option<&[i32]> {
        None
    }
    /// The file that a picture is, if it is one of its own.
    fn file(&self, _index: usize) -> Option<&Path> {
        None
    }
    /// A picture.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn image(&self, index: usize) -> Result<Arc<Image>>;
    /// Pictures that could not be read so far and were replaced by others.
    fn skipped(&self) -> usize {
        0
    }
}

/// Which format the data has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// The built-in procedural pictures.
    Shapes,
    /// IDX files: MNIST, Fashion-MNIST.
    Idx,
    /// A folder of image files.
    Folder,
    /// ImageNet (ILSVRC 2012).
    ImageNet,
    /// STL-10.
    Stl10,
    /// Oxford-IIIT Pets.
    Pets,
    /// FGVC-Aircraft, by variant.
    Aircraft,
    /// Stanford Cars.
    Cars,
    /// Oxford Flowers-102.
    Flowers102,
    /// Food-101.
    Food101,
    /// Country211.
    Country211,
    /// German Traffic Sign Recognition Benchmark.
    Gtsrb,
    /// CIFAR-10.
    Cifar10,
    /// CIFAR-100, fine labels.
    Cifar100,
    /// Describable Textures.
    Dtd,
    /// PASCAL VOC 2007, any number of classes per picture.
    Voc2007,
    /// iNaturalist 2018.
    INat2018,
    /// Oxford5k with the revisited ground truth.
    ROxford5k,
    /// Paris6k with the revisited ground truth.
    RParis6k,
    /// INRIA Copydays.
    Copydays,
}

/// The `[data]` section of a preset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Format.
    pub kind: DataKind,
    /// Folder; not needed for `shapes`, nor for `idx` where Debian's dataset-fashion-mnist is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Split of one of the [`catalogue`]'s data sets to train with, or several ("train+val"), where
    /// not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// The same for testing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Which of the ten official partitions of `dtd`, from 1.
    pub partition: usize,
    /// Stop at the first unreadable image instead of skipping it.
    pub strict: bool,
    /// Training pictures of `shapes`.
    pub train_size: usize,
    /// Test pictures of `shapes`.
    pub test_size: usize,
    /// Memory for decoded image files, in MiB.
    pub cache_mib: usize,
}

impl Default for DataConfig {
    fn default() -> DataConfig {
        DataConfig {
            kind: DataKind::Folder,
            path: None,
            train: None,
            test: None,
            partition: 1,
            strict: false,
            train_size: 10_000,
            test_size: 2_000,
            cache_mib: 1024,
        }
    }
}

/// A data set as a run uses it.
pub struct Splits {
    /// What the network learns from, without looking at labels.
    pub pretrain: Arc<dyn Dataset>,
    /// Pictures with one class each for k-NN's bank, if there are any.
    pub train: Option<Arc<dyn Dataset>>,
    /// Held-out pictures with one class each, if there are any.
    pub test: Option<Arc<dyn Dataset>>,
}

impl Splits {
    /// Both splits labelled, and the training pictures to learn from.
    fn labelled(train: impl Dataset + 'static, test: impl Dataset + 'static) -> Splits {
        let train: Arc<dyn Dataset> = Arc::new(train);
        Splits { pretrain: Arc::clone(&train), train: Some(train), test: Some(Arc::new(test)) }
    }
}

impl DataConfig {
    /// Opens the data.
    ///
    /// # Errors
    /// Files that are missing, truncated or of another format; a path that is not given.
    pub fn open(&self, seed: u64) -> Result<Splits> {
        if let Some(set) = catalogue::of_kind(self.kind) {
            return set.open(self);
        }
        for (key, value) in [("data.train", &self.train), ("data.test", &self.test)] {
            if let Some(value) = value {
                let kind = self.kind_name();
                let detail = format!("{key} = {value:?}: data.kind {kind} has no splits to choose");
                return Err(Error::Usage(detail));
            }
        }
        match self.kind {
            DataKind::Shapes => Ok(Splits::labelled(
                shapes::generate(seed, shapes::Split::Train, self.train_size),
                shapes::generate(seed, shapes::Split::Test, self.test_size),
            )),
            DataKind::Idx => idx::open(self.path.as_deref()),
            _ => {
                let cache = self.cache_mib * 1024 * 1024;
                folder::open(self.folder()?, Reading { strict: self.strict, cache })
            }
        }
    }

    /// Channels of the pictures, known without opening them.
    pub fn channels(&self) -> usize {
        if self.kind == DataKind::Idx { 1 } else { 3 }
    }

    fn folder(&self) -> Result<&Path> {
        self.path.as_deref().ok_or_else(|| {
            let kind = self.kind_name();
            Error::Usage(format!("data.kind {kind} needs a folder: give --data DIR"))
        })
    }

    /// As settings have it.
    fn kind_name(&self) -> String {
        format!("{:?}", self.kind).to_lowercase()
    }
}
