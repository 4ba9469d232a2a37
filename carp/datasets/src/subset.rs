//! A subset of a data set.

use std::path::Path;
use std::sync::Arc;

use files::Result;

use crate::dataset::Dataset;
use crate::image::Image;

/// The images of `data` listed in `indices`, in that order.
pub struct Subset {
    /// The whole data set.
    pub data: Arc<dyn Dataset>,
    /// Indices of its images.
    pub indices: Vec<u32>,
}

impl Subset {
    fn place(&self, index: usize) -> usize {
        self.indices[index] as usize
    }
}

impl Dataset for Subset {
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

    fn skipped(&self) -> usize {
        self.data.skipped()
    }
}
