//! What every data set gives: pictures by number, with or without labels.

use std::path::Path;
use std::sync::Arc;

use files::Result;

use crate::image::Image;

/// Pictures with or without labels.
pub trait Dataset: Send + Sync {
    /// Name for messages.
    fn name(&self) -> &str;
    /// Number of pictures.
    fn len(&self) -> usize;
    /// True if there are no pictures.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// 1 or 3, the same for all pictures.
    fn channels(&self) -> usize;
    /// Names of the classes; empty where there are no labels.
    fn classes(&self) -> &[String];
    /// Class of a picture.
    fn label(&self, index: usize) -> Option<u32>;
    /// Of a data set with any number of classes per picture: for each class 1 (the picture shows
    /// it), -1 (it does not) or 0 (it counts neither way).
    fn shown(&self, _index: usize) -> Option<&[i32]> {
        None
    }
    /// The file that a picture is, if it is one of its own.
    fn file(&self, _index: usize) -> Option<&Path> {
        None
    }
    /// A picture.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn image(&self, index: usize) -> Result<Arc<Image>>;
    /// Pictures that could not be read so far and were replaced by others.
    fn skipped(&self) -> usize {
        0
    }
}
