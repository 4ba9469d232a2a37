//! The 17 data sets of the paper, as they lie on disk when unpacked from their makers' archives.
//!
//! Each file here describes one data set: what to download, which folder it becomes, its official
//! splits with their counts, and how its index is read. The rest is shared: opening, checking
//! ([`check`]) and the table of all ([`table`]).

mod aircraft;
mod cars;
pub mod check;
mod cifar;
mod contents;
mod copydays;
mod country211;
mod dtd;
mod flowers102;
mod food101;
mod gtsrb;
mod imagenet;
mod inat2018;
mod pets;
mod revisited;
mod source;
mod stl10;
pub mod table;
mod voc2007;

use std::sync::Arc;

pub use self::contents::{Contents, Pictures, Query, Split};
use self::source::Source;
use super::files::Reading;
use super::{DataConfig, DataKind, Dataset, Splits};
use crate::error::{Error, Result};

/// All of them, in the order of the paper's evaluations.
pub static ALL: [DataSet; 17] = [
    imagenet::IMAGENET,
    stl10::STL10,
    pets::PETS,
    aircraft::AIRCRAFT,
    cars::CARS,
    flowers102::FLOWERS102,
    food101::FOOD101,
    country211::COUNTRY211,
    gtsrb::GTSRB,
    cifar::CIFAR10,
    cifar::CIFAR100,
    dtd::DTD,
    voc2007::VOC2007,
    inat2018::INAT2018,
    revisited::ROXFORD5K,
    revisited::RPARIS6K,
    copydays::COPYDAYS,
];

/// The description of a data set.
pub struct DataSet {
    /// As `data.kind` has it.
    pub kind: DataKind,
    /// The same as text: the name for commands.
    pub name: &'static str,
    /// Name in full.
    pub title: &'static str,
    /// Where its makers offer it.
    pub page: &'static str,
    /// The files to download from there.
    pub archives: &'static [&'static str],
    /// What lies in the folder once they are unpacked.
    pub layout: &'static [&'static str],
    /// The official splits.
    pub parts: &'static [Part],
    /// Number of classes; 0 where there are none.
    pub classes: usize,
    /// The split to learn from without labels, where that is not `train`.
    pub pretrain: &'static str,
    /// The labelled splits to train and to test with; empty where there are no classes.
    pub train: &'static str,
    /// See `train`.
    pub test: &'static str,
    /// The evaluations that the paper does on it.
    pub protocols: &'static [&'static str],
    /// Reads the index; the folder exists.
    read: fn(&Source) -> Result<Contents>,
}

/// An official split.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Number of images; more than one where its makers published several versions.
    pub images: &'static [usize],
    /// Need not be there.
    pub optional: bool,
}

impl Part {
    const fn new(name: &'static str, images: &'static [usize]) -> Part {
        Part { name, images, optional: false }
    }

    const fn optional(name: &'static str, images: &'static [usize]) -> Part {
        Part { name, images, optional: true }
    }
}

/// The data set of a kind, if it is one of the 17.
pub fn of_kind(kind: DataKind) -> Option<&'static DataSet> {
    ALL.iter().find(|set| set.kind == kind)
}

/// The data set of a name.
///
/// # Errors
/// Another name: names the nearest, or all.
pub fn of_name(name: &str) -> Result<&'static DataSet> {
    ALL.iter().find(|set| set.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|set| set.name).collect();
        let near = names
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()))
            .filter(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()) <= 2);
        let near = near.map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"));
        Error::Usage(format!("unknown data set {name:?}{near}; there are {}", names.join(", ")))
    })
}

impl DataSet {
    /// Reads the index of the data set in the folder `config.path`; images are not opened.
    ///
    /// # Errors
    /// Files of the layout that are missing, or not as they should be.
    pub fn contents(&self, config: &DataConfig) -> Result<Contents> {
        let folder = config.folder()?;
        if !folder.is_dir() {
            let archives = self.archives.join(", ");
            let detail = format!("no such folder: unpack {archives} ({}) there", self.page);
            return Err(Error::data(folder, detail));
        }
        let mut contents = (self.read)(&Source { folder, partition: config.partition })?;
        contents.title = self.title;
        Ok(contents)
    }

    /// Opens the data set as a run uses it.
    ///
    /// # Errors
    /// Those of [`DataSet::contents`]; a `data.train` or `data.test` that is none of its splits.
    pub fn open(&self, config: &DataConfig) -> Result<Splits> {
        let contents = self.contents(config)?;
        // All splits share the memory.
        let reading = Reading { strict: config.strict, cache: config.cache_mib * 1024 * 1024 / 2 };
        let open = |given: &Option<String>, default: &str| -> Result<Option<Arc<dyn Dataset>>> {
            match (given.as_deref().unwrap_or(default), default) {
                (_, "") | ("", _) => Ok(None),
                (names, _) => contents.dataset(names, reading).map(Some),
            }
        };
        let (train, test) = (open(&config.train, self.train)?, open(&config.test, self.test)?);
        let pretrain = match (contents.split(self.pretrain), &train) {
            (None, Some(train)) => Arc::clone(train),
            _ => contents.dataset(self.pretrain, reading)?,
        };
        // k-NN needs one class per image.
        let single = |data: &Arc<dyn Dataset>| data.label(0).is_some();
        let (train, test) = (train.filter(single), test.filter(single));
        Ok(Splits { pretrain, train, test })
    }
}
