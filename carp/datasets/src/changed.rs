//! A data set whose images are resized or cropped first.

use std::path::Path;
use std::sync::Arc;

use files::Result;

use crate::crop::Crop;
use crate::dataset::Dataset;
use crate::image::Image;
use crate::resample::Filter;

/// The change applied to each image.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Stretched to a square of this side (bicubic): copy detection.
    Stretch(usize),
    /// Shrunk so that neither side exceeds this (Lanczos): retrieval.
    Fit(usize),
    /// Cropped to a box, one per image: retrieval queries.
    Crop(Vec<Crop>),
}

/// A data set with changed images.
pub struct Changed {
    /// The data set.
    pub data: Arc<dyn Dataset>,
    /// The change.
    pub change: Change,
}

impl Changed {
    fn changed(&self, index: usize, image: &Image) -> Arc<Image> {
        Arc::new(match &self.change {
            Change::Stretch(side) => image.resized(Filter::Bicubic, *side, *side),
            Change::Fit(most) => image.fitting(Filter::Lanczos, *most).into_owned(),
            Change::Crop(crops) => {
                // A box may extend beyond its image.
                let Crop { top, left, height, width } = crops[index];
                let (top, left) = (top.min(image.height - 1), left.min(image.width - 1));
                let height = height.clamp(1, image.height - top);
                let width = width.clamp(1, image.width - left);
                image.cropped(Crop { top, left, height, width })
            }
        })
    }
}

impl Dataset for Changed {
    fn name(&self) -> &str {
        self.data.name()
    }

    fn len(&self) -> usize {
        self.data.len()
    }

    fn channels(&self) -> usize {
        self.data.channels()
    }

    fn classes(&self) -> &[String] {
        self.data.classes()
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.data.label(index)
    }

    fn shown(&self, index: usize) -> Option<&[i32]> {
        self.data.shown(index)
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.data.file(index)
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        Ok(self.changed(index, &*self.data.image(index)?))
    }

    fn readable(&self, index: usize) -> Result<Option<Arc<Image>>> {
        let image = self.data.readable(index)?;
        Ok(image.map(|image| self.changed(index, &image)))
    }

    fn is_unreadable(&self, index: usize) -> bool {
        self.data.is_unreadable(index)
    }

    fn skipped(&self) -> usize {
        self.data.skipped()
    }
}
