//! From settings to data, in any format.

use files::{Error, Result};

use crate::data_config::{DataConfig, DataKind};
use crate::file_dataset::Reading;
use crate::splits::Splits;
use crate::{catalogue, idx, image_folder, shapes};

impl DataConfig {
    /// Opens the data.
    ///
    /// # Errors
    /// Files that are missing, truncated or in another format; a missing path; more images to hold
    /// out than there are.
    pub fn open(&self, seed: u64) -> Result<Splits> {
        let splits = self.open_whole(seed)?;
        if self.held_out > 0 { splits.hold_out(self.held_out) } else { Ok(splits) }
    }

    fn open_whole(&self, seed: u64) -> Result<Splits> {
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
            DataKind::Shapes if self.path.is_some() => {
                let detail = "data.kind shapes is generated and reads no folder: leave data.path \
                              (--data) away, or choose another kind, such as folder";
                Err(Error::Usage(detail.to_owned()))
            }
            DataKind::Shapes => Ok(Splits::labelled(
                shapes::generate(seed, shapes::Part::Train, self.train_size),
                shapes::generate(seed, shapes::Part::Test, self.test_size),
            )),
            DataKind::Idx => idx::open(self.path.as_deref()),
            _ => {
                let cache = self.cache_mib * 1024 * 1024;
                image_folder::open(self.folder()?, Reading { strict: self.strict, cache })
            }
        }
    }
}
