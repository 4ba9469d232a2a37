//! A data set in memory; all images have one size.

use std::sync::Arc;

use files::Result;

use crate::dataset::Dataset;
use crate::image::Image;

/// Images that are decoded once and then lent out.
pub struct MemoryDataset {
    name: String,
    channels: usize,
    images: Vec<Arc<Image>>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl MemoryDataset {
    /// Images of size (height, width, channels) with consecutive `pixels`, H,W,C each; one label
    /// per image, or none at all, and the class names. `name` is for messages.
    pub fn new(
        name: String,
        (height, width, channels): (usize, usize, usize),
        pixels: &[u8],
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> MemoryDataset {
        let image = |pixels: &[u8]| Image { height, width, channels, pixels: pixels.to_vec() };
        let images = pixels.chunks_exact(height * width * channels).map(image).map(Arc::new);
        MemoryDataset::of_images(name, channels, images.collect(), labels, classes)
    }

    /// The same of images that are in memory already.
    pub fn of_images(
        name: String,
        channels: usize,
        images: Vec<Arc<Image>>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> MemoryDataset {
        MemoryDataset { name, channels, images, labels, classes }
    }
}

impl Dataset for MemoryDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn memory(&self) -> usize {
        let bytes = |image: &Arc<Image>| size_of::<Image>() + image.pixels.capacity();
        self.images.iter().map(bytes).sum()
    }

    fn image(&self, index: usize) -> Result<Arc<Image>> {
        Ok(Arc::clone(&self.images[index]))
    }
}
