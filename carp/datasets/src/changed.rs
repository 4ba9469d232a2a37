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
    /// Cropped to a box: retrieval queries.
    Crop {
        /// One per image.
        boxes: Vec<Crop>,
        /// Shrunk as the whole image would be so that neither of its sides exceeds this (Lanczos),
        /// as in cirtorch.
        fit: Option<usize>,
    },
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
            Change::Crop { boxes, fit } => {
                // A box may extend beyond its image.
                let Crop { top, left, height, width } = boxes[index];
                let (top, left) = (top.min(image.height - 1), left.min(image.width - 1));
                let height = height.clamp(1, image.height - top);
                let width = width.clamp(1, image.width - left);
                let cropped = image.cropped(Crop { top, left, height, width });
                let Some(most) = fit else { return Arc::new(cropped) };
                let share = (height.max(width), image.height.max(image.width));
                cropped.fitting(Filter::Lanczos, (most * share.0 / share.1).max(1)).into_owned()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_dataset::MemoryDataset;

    #[test]
    fn a_crop_is_shrunk_like_its_image() {
        let pixels = [0; 40 * 60];
        let size = |boxes, fit| {
            let (name, classes) = ("one".to_owned(), vec!["all".to_owned()]);
            let data = MemoryDataset::new(name, (40, 60, 1), &pixels, vec![0], classes);
            let boxes = vec![boxes];
            let changed = Changed { data: Arc::new(data), change: Change::Crop { boxes, fit } };
            let image = changed.image(0).unwrap();
            (image.height, image.width)
        };
        let whole = Crop::whole(40, 60);
        let part = Crop { top: 10, left: 7, height: 20, width: 31 };
        assert_eq!((size(whole, Some(30)), size(part, None)), ((20, 30), (20, 31)));
        // floor(30 * 31 / 60) = 15; Pillow's thumbnail((15.5, 15.5)) of 31 x 20.
        assert_eq!((size(part, Some(30)), size(part, Some(60))), ((10, 15), (20, 31)));
        // The part of a box that is outside of its image is not there.
        let beyond = Crop { top: 30, left: 50, height: 40, width: 40 };
        assert_eq!((size(beyond, None), size(beyond, Some(6))), ((10, 10), (1, 1)));
    }
}
