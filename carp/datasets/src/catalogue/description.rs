//! The description of a data set: downloads, folder layout, official splits with their counts, and
//! how to read its index.

use std::sync::Arc;

use files::{Error, Result};

use super::index::Location;
use crate::catalogue::contents::Contents;
use crate::data_config::{DataConfig, DataKind};
use crate::dataset::Dataset;
use crate::file_dataset::Reading;
use crate::splits::Splits;

/// The description of a data set.
pub struct DataSet {
    /// Value of `data.kind`.
    pub kind: DataKind,
    /// The same as text: the name in commands.
    pub name: &'static str,
    /// The folder that torchvision's class makes below its `root`, if its name is another.
    pub torchvision: Option<&'static str>,
    /// Full name.
    pub title: &'static str,
    /// Its download page.
    pub page: &'static str,
    /// The files to download from there.
    pub archives: &'static [&'static str],
    /// Contents of the folder after unpacking.
    pub layout: &'static [&'static str],
    /// The official splits.
    pub parts: &'static [Part],
    /// Number of classes; 0 if there are none.
    pub classes: usize,
    /// The split for training without labels, if not `train`.
    pub pretrain: &'static str,
    /// The labelled splits for training and testing; empty if there are no classes.
    pub train: &'static str,
    /// See `train`.
    pub test: &'static str,
    /// The paper's evaluations on it.
    pub protocols: &'static [&'static str],
    /// Reads the index; the folder exists.
    pub(super) read: fn(&Location) -> Result<Contents>,
}

/// An official split.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Number of images, one per published version.
    pub images: &'static [usize],
    /// May be absent.
    pub optional: bool,
}

impl Part {
    pub(super) const fn new(name: &'static str, images: &'static [usize]) -> Part {
        Part { name, images, optional: false }
    }

    pub(super) const fn optional(name: &'static str, images: &'static [usize]) -> Part {
        Part { name, images, optional: true }
    }
}

impl DataSet {
    /// The folders below a root of many data sets that may hold this one: of its own name, or of
    /// torchvision's.
    pub fn folders(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.torchvision)
    }

    /// Reads the index of the data set in the folder `config.path`; images are not opened.
    ///
    /// # Errors
    /// Missing or invalid files.
    pub fn contents(&self, config: &DataConfig) -> Result<Contents> {
        let folder = config.folder()?;
        if !folder.is_dir() {
            let archives = self.archives.join(", ");
            let detail = format!("no such folder: unpack {archives} ({}) there", self.page);
            return Err(Error::data(folder, detail));
        }
        let mut contents =
            (self.read)(&Location { folder, partition: config.partition, strict: config.strict })?;
        contents.title = self.title;
        Ok(contents)
    }

    /// Opens the data set as a run uses it. Where the usual training split is also the one for
    /// training without labels, a `data.train` takes the place of both.
    ///
    /// # Errors
    /// Those of [`DataSet::contents`]; a `data.train` or `data.test` that is not one of its splits.
    pub fn open(&self, config: &DataConfig) -> Result<Splits> {
        let contents = self.contents(config)?;
        // All splits share one cache.
        let reading = Reading { strict: config.strict, cache: config.cache_mib * 1024 * 1024 / 2 };
        let open = |given: &Option<String>, default: &str| -> Result<Option<Arc<dyn Dataset>>> {
            match (given.as_deref().unwrap_or(default), default) {
                (_, "") | ("", _) => Ok(None),
                (names, _) => contents.dataset(names, reading).map(Some),
            }
        };
        let (train, test) = (open(&config.train, self.train)?, open(&config.test, self.test)?);
        // The same split is the same data set: its unreadable images are reported once.
        let is_train = self.train == self.pretrain
            || config.train.as_deref().unwrap_or(self.train) == self.pretrain;
        let pretrain = match &train {
            Some(train) if is_train || contents.split(self.pretrain).is_none() => Arc::clone(train),
            _ => contents.dataset(self.pretrain, reading)?,
        };
        // k-NN needs one class per image.
        let single = |data: &Arc<dyn Dataset>| data.label(0).is_some();
        let (train, test) = (train.filter(single), test.filter(single));
        Ok(Splits { pretrain, train, test })
    }
}
