//! From settings to data, in any format.

use files::{Error, Result};

use crate::data_config::{DataConfig, DataKind};
use crate::data_size::DataSize;
use crate::file_dataset::Reading;
use crate::splits::{Splits, check_held_out};
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

    /// The size of what [`DataConfig::open`] gives; built-in images are not drawn for it.
    ///
    /// # Errors
    /// As [`DataConfig::open`].
    pub fn size(&self, seed: u64) -> Result<DataSize> {
        match self.size_unopened()? {
            Some(size) => Ok(size),
            None => Ok(self.open(seed)?.size()),
        }
    }

    /// The same for built-in images alone: the size of others is in their files.
    ///
    /// # Errors
    /// Settings that do not fit together.
    pub fn size_unopened(&self) -> Result<Option<DataSize>> {
        if self.kind != DataKind::Shapes {
            return Ok(None);
        }
        self.check()?;
        let DataConfig { train_size: all, test_size, held_out, .. } = *self;
        if held_out == 0 {
            let memory = shapes::memory(all + test_size);
            let size = DataSize { pretrain: all, train: all, test: test_size, memory };
            return Ok(Some(size));
        }
        check_held_out("shapes, train", held_out, all)?;
        let (kept, memory) = (all - held_out, shapes::memory(all));
        Ok(Some(DataSize { pretrain: kept, train: kept, test: held_out, memory }))
    }

    /// Fails if settings do not fit to the kind of data.
    fn check(&self) -> Result<()> {
        if self.partition != DataConfig::default().partition && self.kind != DataKind::Dtd {
            let (partition, kind) = (self.partition, self.kind_name());
            let detail =
                format!("data.partition = {partition}: data.kind {kind} has no partitions");
            return Err(Error::Usage(detail));
        }
        if catalogue::of_kind(self.kind).is_some() {
            return Ok(());
        }
        for (key, value) in [("data.train", &self.train), ("data.test", &self.test)] {
            if let Some(value) = value {
                let kind = self.kind_name();
                let detail = format!("{key} = {value:?}: data.kind {kind} has no splits to choose");
                return Err(Error::Usage(detail));
            }
        }
        if self.kind == DataKind::Shapes && self.path.is_some() {
            let detail = "data.kind shapes is generated and reads no folder: leave data.path \
                          (--data) away, or choose another kind, such as folder";
            return Err(Error::Usage(detail.to_owned()));
        }
        Ok(())
    }

    fn open_whole(&self, seed: u64) -> Result<Splits> {
        self.check()?;
        if let Some(set) = catalogue::of_kind(self.kind) {
            return set.open(self);
        }
        match self.kind {
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
