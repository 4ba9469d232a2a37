//! A subset of a data set.

use std::path::Path;
use std::sync::Arc;

use files::{Error, Result};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::image::Image;
use crate::progress::Progress;

/// The images of `data` listed in `indices`, in that order.
pub struct Subset {
    /// The whole data set.
    pub data: Arc<dyn Dataset>,
    /// Indices of its images.
    pub indices: Vec<u32>,
}

impl Subset {
    /// The images that can be read; decodes each once, and reports the images done.
    ///
    /// # Errors
    /// An image that cannot be read, if `data` skips none; no image that can.
    pub fn readable(data: Arc<dyn Dataset>, progress: Progress) -> Result<Arc<dyn Dataset>> {
        let counter = progress.counter(data.len(), 1);
        let found = |index| {
            let image = data.readable(index as usize)?;
            counter.add(1);
            Ok(image.map(|_| index))
        };
        let indices: Vec<u32> = (0..data.len() as u32)
            .into_par_iter()
            .filter_map(|index| found(index).transpose())
            .collect::<Result<_>>()?;
        match indices.len() {
            0 => Err(Error::data(data.name(), "no image in it can be read")),
            len if len == data.len() => Ok(data),
            _ => Ok(Arc::new(Subset { data, indices })),
        }
    }

    fn place(&self, index: usize) -> usize {
        self.indices[index] as usize
    }
}

impl Dataset for Subset {
    /// Its share of the whole's, so that parts add up.
    fn memory(&self) -> usize {
        self.data.memory() * self.len() / self.data.len().max(1)
    }

    fn name(&self) -> &str {
        self.data.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn channels(&self) -> usize {
        self.data.channels()
    }

    fn classes(&self) -> &[String] {
        self.data.classes()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.data.label(self.place(index))
    }

    fn shown(&self, index: usize) -> Option<&[i32]> {
        self.data.shown(self.place(index))
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.data.file(self.place(index))
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        self.data.image(self.place(index))
    }

    fn readable(&self, index: usize) -> Result<Option<Arc<Image>>> {
        self.data.readable(self.place(index))
    }

    fn skipped(&self) -> usize {
        self.data.skipped()
    }
}
