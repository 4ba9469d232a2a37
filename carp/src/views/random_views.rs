//! Draws the transformations of each view and applies them.

use datasets::{Crop, Filter, Image, ResizeScratch, greyscale, resize};
use tensor::random::Stream;

use super::blur::{gaussian_blur, scratch_len};
use super::colour::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, solarise};
use super::crop::random_resized_crop;
use super::eval_transform::resized_crop;
use super::normalise::normalise;
use super::patches::Patches;
use super::policy::ViewPolicy;
use super::rand_augment::rand_augment;
use super::scratch::Scratch;
use super::turn::{flip, quarter_turn};
use super::view_kind::ViewKind;

impl ViewPolicy {
    /// What [`crate::pipeline`] turns each image into.
    pub fn views(&self) -> Views {
        Views {
            kinds: self.kinds().cloned().collect(),
            patches: self.patches(),
            filter: self.filter,
            mean: self.mean.clone(),
            std: self.std.clone(),
        }
    }
}

/// Views to make of an image, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Views {
    /// One per view that is a crop of its own.
    pub kinds: Vec<ViewKind>,
    /// The views after these.
    pub patches: Option<Patches>,
    /// How crops are resized.
    pub filter: Filter,
    /// As in [`ViewPolicy`].
    pub mean: Vec<f32>,
    /// As in [`ViewPolicy`].
    pub std: Vec<f32>,
}

impl Views {
    /// One view, a random resized crop, mirrored with probability 0.5: what classifiers train on.
    pub fn crop_and_flip(
        size: usize,
        scale: (f32, f32),
        filter: Filter,
        (mean, std): (&[f32], &[f32]),
    ) -> Views {
        let kind =
            ViewKind { jitter: 0.0, greyscale: 0.0, ..ViewKind::authors(size, scale, 0.0, 0.0) };
        let (mean, std) = (mean.to_vec(), std.to_vec());
        Views { kinds: vec![kind], patches: None, filter, mean, std }
    }

    /// Sides of all views in order.
    pub fn sizes(&self) -> Vec<usize> {
        let patches = self.patches.iter().flat_map(|all| std::iter::repeat_n(all.size, all.count));
        self.kinds.iter().map(|kind| kind.size).chain(patches).collect()
    }

    /// Scratch memory with room for any of the views; it grows with the size of images.
    pub fn scratch(&self) -> Scratch {
        let channels = self.mean.len();
        let crops = || self.kinds.iter().chain(self.patches.iter().map(|patches| &patches.crop));
        let pixels = crops().map(|kind| kind.size * kind.size * channels).max().unwrap_or(0);
        let blurred = crops().filter(|kind| kind.blur > 0.0);
        let blur = blurred
            .map(|kind| scratch_len((kind.size, kind.size, channels), kind.blur_sigma.1))
            .max();
        Scratch {
            resize: ResizeScratch::default(),
            pixels: Vec::with_capacity(pixels),
            source: Vec::with_capacity(pixels),
            blur: Vec::with_capacity(blur.unwrap_or(0)),
            cells: Vec::with_capacity(self.patches.as_ref().map_or(0, |all| all.grid * all.grid)),
            patch: Vec::with_capacity(pixels),
        }
    }

    /// Draws and writes all views of `image`, `[S,S,C]` each, in order.
    ///
    /// # Panics
    /// If `views` do not match [`Views::sizes`] in number or length.
    pub fn make(
        &self,
        image: &Image,
        stream: &mut Stream,
        views: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) {
        let count = self.kinds.len() + self.patches.as_ref().map_or(0, |patches| patches.count);
        assert_eq!(views.len(), count, "one slice per view");
        let (crops, cut) = views.split_at_mut(self.kinds.len());
        for (kind, view) in self.kinds.iter().zip(crops) {
            self.draw_crop(kind, image, stream, scratch);
            normalise(&scratch.pixels, &self.mean, &self.std, view);
        }
        let Some(patches) = &self.patches else { return };
        self.draw_crop(&patches.crop, image, stream, scratch);
        let Scratch { pixels, cells, patch, .. } = scratch;
        patches.draw_cells(stream, cells);
        for (&cell, view) in cells.iter().zip(cut) {
            let corner = patches.draw_corner(cell, stream);
            patches.cut((pixels, image.channels), corner, patch);
            normalise(patch, &self.mean, &self.std, view);
        }
    }

    /// A crop with its transformations, in `scratch.pixels`.
    fn draw_crop(
        &self,
        kind: &ViewKind,
        image: &Image,
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) {
        let Image { height, width, channels, .. } = *image;
        let Scratch { resize: resize_scratch, pixels, blur, source: copy, .. } = scratch;
        if kind.resize > 0 {
            let sizes = (kind.resize, kind.size);
            resized_crop(self.filter, image, sizes, Crop::MIDDLE, resize_scratch, pixels);
        } else {
            let source = (&image.pixels[..], width, channels);
            let crop = random_resized_crop(height, width, kind.scale, stream);
            let size = (kind.size, kind.size);
            resize(self.filter, source, crop, size, resize_scratch, pixels);
        }
        if stream.chance(kind.flip) {
            flip(pixels, kind.size, channels);
        }
        if stream.chance(kind.quarter_turn) {
            for _ in 0..=stream.below(3) {
                quarter_turn(pixels, kind.size, channels);
            }
        }
        if stream.chance(kind.jitter) {
            jitter(kind, pixels, channels, stream);
        }
        let square = (kind.size, kind.size, channels);
        // InfoMin's authors, whose RandAugment this is, blur before it.
        let is_augmented = kind.rand_augment > 0;
        if is_augmented {
            blur_at_random(kind, pixels, square, stream, blur);
        }
        rand_augment(pixels, square, (kind.rand_augment, &self.mean), stream, copy);
        if stream.chance(kind.greyscale) {
            greyscale(pixels, channels);
        }
        if !is_augmented {
            blur_at_random(kind, pixels, square, stream, blur);
        }
        if stream.chance(kind.solarise) {
            solarise(pixels);
        }
    }
}

/// The blur, if chance has it.
fn blur_at_random(
    kind: &ViewKind,
    pixels: &mut [u8],
    square: (usize, usize, usize),
    stream: &mut Stream,
    scratch: &mut Vec<u8>,
) {
    if stream.chance(kind.blur) {
        let sigma = stream.range(kind.blur_sigma.0, kind.blur_sigma.1);
        gaussian_blur(pixels, square, sigma, scratch);
    }
}

/// The four colour changes in random order, each with its own factor.
fn jitter(kind: &ViewKind, pixels: &mut [u8], channels: usize, stream: &mut Stream) {
    let mut order = [0, 1, 2, 3];
    stream.shuffle(&mut order);
    let mut factor = |strength: f32| stream.range((1.0 - strength).max(0.0), 1.0 + strength);
    let brightness = factor(kind.brightness);
    let contrast = factor(kind.contrast);
    let saturation = factor(kind.saturation);
    let hue = stream.range(-kind.hue, kind.hue);
    for change in order {
        match change {
            0 => adjust_brightness(pixels, brightness),
            1 => adjust_contrast(pixels, channels, contrast),
            2 => adjust_saturation(pixels, channels, saturation),
            _ => adjust_hue(pixels, channels, hue),
        }
    }
}

#[cfg(test)]
mod tests;
