//! The interface of every data set: images by number, with or without labels.

use std::path::Path;
use std::sync::Arc;

use files::Result;

use crate::image::Image;

/// Images with or without labels.
pub trait Dataset: Send + Sync {
    /// Name for messages.
    fn name(&self) -> &str;
    /// Number of images.
    fn len(&self) -> usize;
    /// True if there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// 1 or 3, the same for all images.
    fn channels(&self) -> usize;
    /// Names of the classes; empty if there are no labels.
    fn classes(&self) -> &[String];
    /// Class of an image.
    fn label(&self, index: usize) -> Option<u32>;
    /// With any number of classes per image: for each class 1 (present), -1 (absent) or 0
    /// (ignored).
    fn shown(&self, _index: usize) -> Option<&[i32]> {
        None
    }
    /// The file of an image, if it has its own.
    fn file(&self, _index: usize) -> Option<&Path> {
        None
    }
    /// An image.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn image(&self, index: usize) -> Result<Arc<Image>>;
    /// An image, or `None` if it cannot be read and the data set skips such images: its row is then
    /// left out as a whole, with label and name.
    ///
    /// # Errors
    /// A file that cannot be read, if the data set skips none.
    fn readable(&self, index: usize) -> Result<Option<Arc<Image>>> {
        self.image(index).map(Some)
    }
    /// Most bytes of decoded images that it keeps in memory.
    fn memory(&self) -> usize {
        0
    }
    /// Whether an image was found to be unreadable.
    fn is_unreadable(&self, _index: usize) -> bool {
        false
    }
    /// Unreadable images found so far.
    fn skipped(&self) -> usize {
        (0..self.len()).filter(|&index| self.is_unreadable(index)).count()
    }
}
