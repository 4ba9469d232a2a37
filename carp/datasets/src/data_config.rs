//! The `[data]` section of a run's settings: which data, and where it is stored.

use std::path::{Path, PathBuf};

use files::{Error, Result};
use serde::{Deserialize, Serialize};

/// The format of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// The built-in procedural images.
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
    /// PASCAL VOC 2007, any number of classes per image.
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
    /// Folder; not needed for `shapes`, nor for `idx` if Debian's dataset-fashion-mnist is
    /// installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Training split of one of the data sets of the [`catalogue`](crate::catalogue), or several
    /// ("train+val"), if not the usual one. It is also trained on without labels, unless the data set
    /// has a split of its own for that (`stl10`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// The same for testing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Training images that are kept out of training and tested on in place of the test images; 0
    /// keeps none out.
    pub held_out: usize,
    /// Which of the ten official partitions of `dtd`, from 1.
    pub partition: usize,
    /// Fail at the first unreadable image instead of skipping it.
    pub strict: bool,
    /// Training images of `shapes`.
    pub train_size: usize,
    /// Test images of `shapes`.
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
            held_out: 0,
            partition: 1,
            strict: false,
            train_size: 10_000,
            test_size: 2_000,
            cache_mib: 1024,
        }
    }
}

impl DataConfig {
    /// Channels of the images, known without opening them.
    pub fn channels(&self) -> usize {
        if self.kind == DataKind::Idx { 1 } else { 3 }
    }

    /// The folder.
    ///
    /// # Errors
    /// If none is given.
    pub fn folder(&self) -> Result<&Path> {
        self.path.as_deref().ok_or_else(|| {
            let kind = self.kind_name();
            Error::Usage(format!("data.kind {kind} needs a folder: give --data DIR"))
        })
    }

    /// The kind's name in settings.
    pub fn kind_name(&self) -> String {
        format!("{:?}", self.kind).to_lowercase()
    }
}
