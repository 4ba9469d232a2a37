//! Image preprocessing in evaluations: nothing random.

use std::fmt;

use datasets::{Crop, Filter, Image, ResizeScratch, resize_part};

use super::normalise::normalise;
use super::policy::ViewPolicy;
use super::scratch::Scratch;

/// Image preprocessing in evaluations: short side resized to `resize`, centre crop of `size` x
/// `size`, normalised. Images of exactly that size are left as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalTransform {
    /// Short side after resizing, in pixels.
    pub resize: usize,
    /// Side of the centre crop, in pixels.
    pub size: usize,
    /// Resizing filter.
    pub filter: Filter,
    /// As in [`ViewPolicy`]; one per channel.
    pub mean: Vec<f32>,
    /// As in [`ViewPolicy`].
    pub std: Vec<f32>,
}

impl EvalTransform {
    /// "256/224" with ImageNet's mean and standard deviation, averaged over the colours for grey
    /// images.
    pub fn imagenet(filter: Filter, channels: usize) -> EvalTransform {
        let ViewPolicy { mean, std, .. } = ViewPolicy::default();
        let of_channels = |colours: Vec<f32>| match channels {
            3 => colours,
            _ => vec![colours.iter().sum::<f32>() / 3.0; channels],
        };
        let (mean, std) = (of_channels(mean), of_channels(std));
        EvalTransform { resize: 256, size: 224, filter, mean, std }
    }

    /// The standardisation in words, such as `mean 0.5, deviation 0.25`; one number per channel.
    pub fn standardisation(&self) -> String {
        let list = |x: &[f32]| x.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
        format!("mean {}, deviation {}", list(&self.mean), list(&self.std))
    }

    /// Resizing in words.
    pub fn resizing(&self) -> String {
        let EvalTransform { resize, filter, .. } = self;
        format!("short side {resize} ({})", format!("{filter:?}").to_lowercase())
    }

    /// Resizing and cropping in words.
    pub fn crop(&self) -> String {
        let size = self.size;
        format!("{}, middle {size} x {size}", self.resizing())
    }

    /// Elements of the result: size x size x channels.
    pub fn values(&self) -> usize {
        self.size * self.size * self.mean.len()
    }

    /// Writes the preprocessed image, `[size,size,C]`.
    pub fn apply(&self, image: &Image, view: &mut [f32], scratch: &mut Scratch) {
        self.apply_at(Crop::MIDDLE, image, view, scratch);
    }

    /// The same with the crop at another place ([`Crop::at`]) of the resized image.
    pub fn apply_at(
        &self,
        place: (f64, f64),
        image: &Image,
        view: &mut [f32],
        scratch: &mut Scratch,
    ) {
        normalise(self.pixels_at(place, image, scratch), &self.mean, &self.std, view);
    }

    /// A whole image of any size, normalised: `[H,W,C]`.
    pub fn normalised(&self, image: &Image) -> Vec<f32> {
        let image = image.with_channels(self.mean.len());
        let mut view = vec![0.0; image.pixels.len()];
        normalise(&image.pixels, &self.mean, &self.std, &mut view);
        view
    }

    /// The 8-bit pixels before normalisation.
    pub fn pixels<'a>(&self, image: &Image, scratch: &'a mut Scratch) -> &'a [u8] {
        self.pixels_at(Crop::MIDDLE, image, scratch)
    }

    /// Those of the crop at a place.
    fn pixels_at<'a>(
        &self,
        place: (f64, f64),
        image: &Image,
        scratch: &'a mut Scratch,
    ) -> &'a [u8] {
        let image = image.with_channels(self.mean.len());
        let Scratch { resize, pixels, .. } = scratch;
        resized_crop(self.filter, &image, (self.resize, self.size), place, resize, pixels);
        pixels
    }
}

/// A square crop at a place ([`Crop::at`]) of the image whose short side is resized, written into `pixels`.
pub(super) fn resized_crop(
    filter: Filter,
    image: &Image,
    (short_side, size): (usize, usize),
    place: (f64, f64),
    scratch: &mut ResizeScratch,
    pixels: &mut Vec<u8>,
) {
    let Image { height, width, channels, .. } = *image;
    let short = height.min(width);
    // The long side is rounded down, as torchvision's Resize does.
    let (tall, wide) = (short_side * height / short, short_side * width / short);
    let source = (&image.pixels[..], width, channels);
    let whole = Crop::whole(height, width);
    // Of an image of 1 x 8000 the resized whole is 8000 times the crop.
    let crop = Crop::at(place, (tall, wide), (size, size));
    resize_part(filter, source, whole, (tall, wide), crop, scratch, pixels);
}

/// In words, for reports.
impl fmt::Display for EvalTransform {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}, {}", self.crop(), self.standardisation())
    }
}
