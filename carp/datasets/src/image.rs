//! An image in memory.

use std::borrow::Cow;

use crate::crop::Crop;
use crate::luma::greyscale;
use crate::resample::{Filter, ResizeScratch, resize};

/// 8-bit pixels in H,W,C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` numbers.
    pub pixels: Vec<u8>,
}

impl Image {
    /// The image converted to 1 or 3 channels: grey repeated three times, or luma as in Pillow's
    /// `convert("L")`.
    pub fn with_channels(&self, channels: usize) -> Cow<'_, Image> {
        let Image { height, width, .. } = *self;
        let pixels = match (self.channels, channels) {
            (1, 3) => self.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            (3, 1) => {
                let mut grey = self.pixels.clone();
                greyscale(&mut grey, 3);
                grey.into_iter().step_by(3).collect()
            }
            _ => return Cow::Borrowed(self),
        };
        Cow::Owned(Image { height, width, channels, pixels })
    }

    /// A part of the image.
    pub fn cropped(&self, crop: Crop) -> Image {
        let row_len = self.width * self.channels;
        let rows = self.pixels.chunks_exact(row_len).skip(crop.top).take(crop.height);
        let (first, len) = (crop.left * self.channels, crop.width * self.channels);
        let pixels = rows.flat_map(|row| &row[first..first + len]).copied().collect();
        Image { height: crop.height, width: crop.width, channels: self.channels, pixels }
    }

    /// The image resized.
    pub fn resized(&self, filter: Filter, height: usize, width: usize) -> Image {
        let (mut pixels, mut scratch) = (Vec::new(), ResizeScratch::default());
        let source = (&self.pixels[..], self.width, self.channels);
        let whole = Crop::whole(self.height, self.width);
        resize(filter, source, whole, (height, width), &mut scratch, &mut pixels);
        Image { height, width, channels: self.channels, pixels }
    }

    /// The image shrunk so that neither side exceeds `most`, preserving the aspect ratio as nearly
    /// as whole pixels allow; smaller images are unchanged. The size is that of Pillow's
    /// `thumbnail`.
    pub fn fitting(&self, filter: Filter, most: usize) -> Cow<'_, Image> {
        let Image { height, width, .. } = *self;
        if height <= most && width <= most {
            return Cow::Borrowed(self);
        }
        let aspect = width as f64 / height as f64;
        // Round the exact short side up or down, whichever gives the nearer ratio.
        let nearer = |exact: f64, error: &dyn Fn(f64) -> f64| {
            let (low, high) = (exact.floor(), exact.ceil());
            let best = if error(low) <= error(high) { low } else { high };
            best.max(1.0) as usize
        };
        let long = most as f64;
        let (height, width) = if aspect <= 1.0 {
            (most, nearer(long * aspect, &|wide| (aspect - wide / long).abs()))
        } else {
            let error = |tall: f64| if tall == 0.0 { 0.0 } else { (aspect - long / tall).abs() };
            (nearer(long / aspect, &error), most)
        };
        Cow::Owned(self.resized(filter, height, width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize) -> Image {
        let pixels = (0..height * width).map(|i| i as u8).collect();
        Image { height, width, channels: 1, pixels }
    }

    #[test]
    fn channels_crops_and_sizes() {
        let grey = image(2, 3);
        let colour = grey.with_channels(3);
        assert_eq!((colour.channels, &colour.pixels[3..6]), (3, &[1, 1, 1][..]));
        assert_eq!(colour.with_channels(1).into_owned(), grey);
        let red = Image { height: 1, width: 1, channels: 3, pixels: vec![255, 0, 0] };
        assert_eq!(red.with_channels(1).pixels, [76]);
        let crop = Crop { top: 1, left: 1, height: 1, width: 2 };
        assert_eq!(grey.cropped(crop).pixels, [4, 5]);
        // Sizes of Pillow's thumbnail((512, 512)).
        for ((height, width), size) in [
            ((768, 1024), (384, 512)),
            ((1024, 683), (512, 341)),
            ((1000, 3), (512, 2)),
            ((3, 2000), (1, 512)),
            ((400, 512), (400, 512)),
        ] {
            let small = image(height, width).fitting(Filter::Lanczos, 512).into_owned();
            assert_eq!((small.height, small.width), size, "{height} x {width}");
            assert_eq!(small.pixels.len(), size.0 * size.1);
        }
    }
}
