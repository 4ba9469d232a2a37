//! A data set whose pictures, all of one size, lie in memory.

use std::sync::Arc;

use files::Result;

use crate::dataset::Dataset;
use crate::image::Image;

/// Pictures one after the other, H,W,C each.
pub struct MemoryDataset {
    /// Name for messages.
    pub name: String,
    /// (height, width, channels).
    pub size: (usize, usize, usize),
    /// All pixels.
    pub pixels: Vec<u8>,
    /// One label per picture, or none at all.
    pub labels: Vec<u32>,
    /// Names of the classes.
    pub classes: Vec<String>,
}

impl Dataset for MemoryDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        let (h, w, c) = self.size;
        self.pixels.len() / (h * w * c)
    }

    fn channels(&self) -> usize {
        self.size.2
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        let (height, width, channels) = self.size;
        let len = height * width * channels;
        let pixels = self.pixels[index * len..(index + 1) * len].to_vec();
        Ok(Arc::new(Image { height, width, channels, pixels }))
    }
}
