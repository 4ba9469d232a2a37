//! Checks a data set: counts its splits and opens every image.

use files::Result;
use rayon::prelude::*;

use crate::catalogue::contents::Split;
use crate::catalogue::description::{DataSet, Part};
use crate::data_config::DataConfig;
use crate::file_dataset::Reading;

/// The findings in one split.
pub struct SplitReport {
    /// Its name.
    pub name: &'static str,
    /// Images in the index, or `None` if the split is absent.
    pub found: Option<usize>,
    /// Official number of images, one per official version.
    pub expected: &'static [usize],
    /// A line for each image that cannot be read, in index order.
    pub broken: Vec<String>,
}

/// The findings.
pub struct CheckReport {
    /// In the order of the description.
    pub splits: Vec<SplitReport>,
    /// Classes found.
    pub classes: usize,
    /// Official number of classes.
    pub expected_classes: usize,
}

impl SplitReport {
    /// True if the number of images is official, or the split is optional and absent.
    pub fn is_complete(&self) -> bool {
        self.found.is_none_or(|found| self.expected.contains(&found))
    }
}

impl CheckReport {
    /// True if all counts are official and every image can be read.
    pub fn is_good(&self) -> bool {
        let good = |split: &SplitReport| split.is_complete() && split.broken.is_empty();
        self.classes == self.expected_classes && self.splits.iter().all(good)
    }
}

/// Progress of a check.
pub enum CheckProgress {
    /// This many images are to be opened.
    Images(usize),
    /// One more was opened.
    Opened,
}

/// Counts and opens everything; `progress` is called from any thread.
///
/// # Errors
/// An index that cannot be read.
pub fn check(
    set: &DataSet,
    config: &DataConfig,
    progress: impl Fn(CheckProgress) + Sync,
) -> Result<CheckReport> {
    let contents = set.contents(config)?;
    progress(CheckProgress::Images(contents.splits.iter().map(Split::len).sum()));
    let strict = Reading { strict: true, cache: 0 };
    let split = |part: &Part| {
        let (name, expected) = (part.name, part.images);
        let Some(split) = contents.split(name) else {
            return Ok(SplitReport { name, found: None, expected, broken: vec![] });
        };
        let mut broken = Vec::new();
        if !split.is_empty() {
            let data = contents.dataset(name, strict)?;
            let open = |index| {
                let result = data.image(index);
                progress(CheckProgress::Opened);
                result.err().map(|error| error.to_string())
            };
            broken = (0..data.len()).into_par_iter().filter_map(open).collect();
        }
        Ok(SplitReport { name, found: Some(split.len()), expected, broken })
    };
    let splits = set.parts.iter().map(split).collect::<Result<_>>()?;
    let (classes, expected_classes) = (contents.classes.len(), set.classes);
    Ok(CheckReport { splits, classes, expected_classes })
}
