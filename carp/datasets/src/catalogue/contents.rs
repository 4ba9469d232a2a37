//! The index of a data set.

use std::path::PathBuf;
use std::sync::Arc;

use files::{Error, Result};

use crate::dataset::Dataset;
use crate::file_dataset::{FileDataset, Reading};
use crate::labels::Labels;

/// The splits of a data set with their images and labels.
pub struct Contents {
    /// Name of the data set for messages.
    pub title: &'static str,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// In the order of the description.
    pub splits: Vec<Split>,
    /// Ground truth of a retrieval benchmark, one entry per image of the split `queries`.
    pub queries: Vec<Query>,
}

/// One split.
pub struct Split {
    /// Its name.
    pub name: &'static str,
    /// Its images.
    pub pictures: Pictures,
}

/// The images of a split.
pub enum Pictures {
    /// Image files.
    Files {
        /// Their paths.
        files: Vec<PathBuf>,
        /// One label per file, or none.
        labels: Labels,
    },
    /// Images in another format.
    Whole(Arc<dyn Dataset>),
}

/// Ground truth for a query of the revisited Oxford and Paris benchmarks. Images are numbered as in
/// the split `database`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The landmark in the query image: left, top, right, bottom, in pixels.
    pub bbx: [f64; 4],
    /// Images that show it well.
    pub easy: Vec<u32>,
    /// Images that show it, but hard to tell.
    pub hard: Vec<u32>,
    /// Images that are ignored.
    pub junk: Vec<u32>,
}

impl Contents {
    /// Splits with one class per image, or without classes.
    pub(crate) fn new(classes: Vec<String>, splits: Vec<Split>) -> Contents {
        Contents { title: "", classes, splits, queries: vec![] }
    }

    /// The split `name`.
    pub fn split(&self, name: &str) -> Option<&Split> {
        self.splits.iter().find(|split| split.name == name)
    }

    /// One split as a data set, or several concatenated ("train+val"). Without one image the ground
    /// truth of a retrieval benchmark is another one: it skips none.
    ///
    /// # Errors
    /// An unknown name; several splits that are not files.
    pub fn dataset(&self, names: &str, reading: Reading) -> Result<Arc<dyn Dataset>> {
        let mut parts = Vec::new();
        for name in names.split('+').map(str::trim) {
            parts.push(self.split(name).ok_or_else(|| {
                let known: Vec<&str> = self.splits.iter().map(|split| split.name).collect();
                let (title, known) = (self.title, known.join(", "));
                Error::Usage(format!("{title} has no split {name:?} here; it has {known}"))
            })?);
        }
        if let [Split { pictures: Pictures::Whole(data), .. }] = parts.as_slice() {
            return Ok(Arc::clone(data));
        }
        let (mut all_files, mut single, mut multi) = (vec![], vec![], vec![]);
        for part in parts {
            let Pictures::Files { files, labels } = &part.pictures else {
                let title = self.title;
                return Err(Error::Usage(format!("splits of {title} cannot be joined: {names}")));
            };
            all_files.extend(files.iter().cloned());
            match labels {
                Labels::None => {}
                Labels::Single(labels) => single.extend(labels),
                Labels::Multi { shown, .. } => multi.extend(shown),
            }
        }
        let labels = match (single.is_empty(), multi.is_empty()) {
            (false, _) => Labels::Single(single),
            (true, false) => Labels::Multi { classes: self.classes.len(), shown: multi },
            (true, true) => Labels::None,
        };
        let name = format!("{}, {names}", self.title);
        let data = FileDataset::new(name, all_files, labels, self.classes.clone(), reading);
        Ok(Arc::new(match self.queries.is_empty() {
            true => data,
            false => data.needed("the ground truth needs every image"),
        }))
    }
}

impl Split {
    /// Files with one class each.
    pub(crate) fn single(name: &'static str, images: Vec<(PathBuf, u32)>) -> Split {
        let (files, labels) = images.into_iter().unzip();
        Split { name, pictures: Pictures::Files { files, labels: Labels::Single(labels) } }
    }

    /// Files without classes.
    pub(crate) fn unlabelled(name: &'static str, files: Vec<PathBuf>) -> Split {
        Split { name, pictures: Pictures::Files { files, labels: Labels::None } }
    }

    /// Images in another format.
    pub(crate) fn whole(name: &'static str, data: Arc<dyn Dataset>) -> Split {
        Split { name, pictures: Pictures::Whole(data) }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        match &self.pictures {
            Pictures::Files { files, .. } => files.len(),
            Pictures::Whole(data) => data.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
