//! Data sets: built in, or read as their makers publish them.

mod changed;
mod cifar;
mod folder;
mod idx;
mod image;
mod memory;
mod reading;
pub mod shapes;
mod stl10;
mod subset;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::changed::{Change, Changed};
pub use self::folder::FolderDataset;
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
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-100, binary version, fine labels.
    Cifar100,
    /// STL-10, binary version.
    Stl10,
    /// A folder of image files.
    Folder,
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
    /// Stop at the first unreadable image instead of skipping it.
    pub strict: bool,
    /// Training pictures of `shapes`.
    pub train_size: usize,
    /// Test pictures of `shapes`.
    pub test_size: usize,
    /// Memory for decoded images of `folder`, in MiB.
    pub cache_mib: usize,
}

impl Default for DataConfig {
    fn default() -> DataConfig {
        DataConfig {
            kind: DataKind::Folder,
            path: None,
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
    /// Labelled pictures for k-NN's bank, if there are any.
    pub train: Option<Arc<dyn Dataset>>,
    /// Labelled held-out pictures, if there are any.
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
        match self.kind {
            DataKind::Shapes => Ok(Splits::labelled(
                shapes::generate(seed, shapes::Split::Train, self.train_size),
                shapes::generate(seed, shapes::Split::Test, self.test_size),
            )),
            DataKind::Idx => idx::open(self.path.as_deref()),
            DataKind::Cifar10 => cifar::open10(self.folder()?),
            DataKind::Cifar100 => cifar::open100(self.folder()?),
            DataKind::Stl10 => stl10::open(self.folder()?),
            DataKind::Folder => {
                folder::open(self.folder()?, self.strict, self.cache_mib * 1024 * 1024)
            }
        }
    }

    /// Channels of the pictures, known without opening them.
    pub fn channels(&self) -> usize {
        if self.kind == DataKind::Idx { 1 } else { 3 }
    }

    fn folder(&self) -> Result<&Path> {
        self.path.as_deref().ok_or_else(|| {
            let kind = format!("{:?}", self.kind).to_lowercase();
            Error::Usage(format!("data.kind {kind} needs a folder: give --data DIR"))
        })
    }
}
