//! The pictures of a data set, each changed in size before anything else looks at it.

use std::path::Path;
use std::sync::Arc;

use files::Result;

use crate::crop::Crop;
use crate::dataset::Dataset;
use crate::image::Image;
use crate::resample::Filter;

/// What is done to each picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// To a square of this side, whatever its shape (bicubic): copy detection.
    Stretch(usize),
    /// Neither side longer than this (Lanczos): retrieval.
    Fit(usize),
    /// The part that is asked about, one per picture: query boxes.
    Crop(Vec<Crop>),
}

/// A data set with changed pictures.
pub struct Changed {
    /// The data set.
    pub data: Arc<dyn Dataset>,
    /// The change.
    pub change: Change,
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
        let image = self.data.image(index)?;
        Ok(Arc::new(match &self.change {
            Change::Stretch(side) => image.resized(Filter::Bicubic, *side, *side),
            Change::Fit(most) => image.fitting(Filter::Lanczos, *most).into_owned(),
            Change::Crop(crops) => {
                // A box may reach over the edge of its picture.
                let Crop { top, left, height, width } = crops[index];
                let (top, left) = (top.min(image.height - 1), left.min(image.width - 1));
                let height = height.clamp(1, image.height - top);
                let width = width.clamp(1, image.width - left);
                image.cropped(Crop { top, left, height, width })
            }
        }))
    }

    fn skipped(&self) -> usize {
        self.data.skipped()
    }
}
