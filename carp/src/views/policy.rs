//! Which transformations, how strong and how likely, make the views of an image (spec 1.9).

use serde::{Deserialize, Serialize};
use tensor::random::Stream;

use super::blur::{SCRATCH_LINES, gaussian_blur};
use super::colour::{
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, greyscale, solarise,
};
use super::crop::{Crop, random_resized_crop};
use super::resample::{Filter, ResizeScratch, resize};
use crate::data::Image;

/// One kind of view. Probabilities are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewKind {
    /// Side in pixels.
    pub size: usize,
    /// Least and largest share of the image's area in the crop.
    pub scale: (f32, f32),
    /// Probability of a horizontal flip.
    pub flip: f32,
    /// Probability of a turn by 90, 180 or 270 degrees: not in the paper, for pictures that have no
    /// upright position.
    pub quarter_turn: f32,
    /// Probability of colour jitter.
    pub jitter: f32,
    /// Brightness factor in 1 -+ this.
    pub brightness: f32,
    /// Contrast factor in 1 -+ this.
    pub contrast: f32,
    /// Saturation factor in 1 -+ this.
    pub saturation: f32,
    /// Hue shift in -+ this, in full circles.
    pub hue: f32,
    /// Probability of greyscale.
    pub greyscale: f32,
    /// Probability of blur.
    pub blur: f32,
    /// Least and largest deviation of the blur, in pixels.
    pub blur_sigma: (f32, f32),
    /// Probability of solarisation.
    pub solarise: f32,
}

impl ViewKind {
    fn paper(size: usize, scale: (f32, f32), blur: f32, solarise: f32) -> ViewKind {
        ViewKind {
            size,
            scale,
            flip: 0.5,
            quarter_turn: 0.0,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            greyscale: 0.2,
            blur,
            blur_sigma: (0.1, 2.0),
            solarise,
        }
    }
}

/// The views of an image: two global ones, then the local ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewPolicy {
    /// Subtracted from pixels in 0..1, one number per channel.
    pub mean: Vec<f32>,
    /// Then divided by this, one number per channel.
    pub std: Vec<f32>,
    /// Number of local views.
    pub local_count: usize,
    /// View 0.
    pub global1: ViewKind,
    /// View 1.
    pub global2: ViewKind,
    /// All others.
    pub local: ViewKind,
}

impl Default for ViewPolicy {
    /// The paper's.
    fn default() -> ViewPolicy {
        ViewPolicy {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            local_count: 6,
            global1: ViewKind::paper(224, (0.2, 1.0), 1.0, 0.0),
            global2: ViewKind::paper(224, (0.2, 1.0), 0.1, 0.2),
            local: ViewKind::paper(96, (0.05, 0.2), 0.5, 0.0),
        }
    }
}

/// Memory that is kept from image to image.
#[derive(Default)]
pub struct Scratch {
    resize: ResizeScratch,
    pixels: Vec<u8>,
    blur: Vec<u8>,
}

impl ViewPolicy {
    fn kinds(&self) -> impl Iterator<Item = &ViewKind> {
        let locals = std::iter::repeat_n(&self.local, self.local_count);
        [&self.global1, &self.global2].into_iter().chain(locals)
    }

    /// Sides of all views in order.
    pub fn sizes(&self) -> Vec<usize> {
        self.kinds().map(|kind| kind.size).collect()
    }

    /// What [`crate::pipeline`] makes of each image.
    pub fn views(&self) -> Views {
        Views {
            kinds: self.kinds().cloned().collect(),
            filter: Filter::Bicubic,
            mean: self.mean.clone(),
            std: self.std.clone(),
        }
    }
}

/// Views to make of an image, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Views {
    /// One per view.
    pub kinds: Vec<ViewKind>,
    /// How crops are resized.
    pub filter: Filter,
    /// As in [`ViewPolicy`].
    pub mean: Vec<f32>,
    /// As in [`ViewPolicy`].
    pub std: Vec<f32>,
}

impl Views {
    /// One view, a random resized crop that is mirrored half of the time: what classifiers train on.
    pub fn crop_and_flip(
        size: usize,
        scale: (f32, f32),
        filter: Filter,
        (mean, std): (&[f32], &[f32]),
    ) -> Views {
        let kind =
            ViewKind { jitter: 0.0, greyscale: 0.0, ..ViewKind::paper(size, scale, 0.0, 0.0) };
        Views { kinds: vec![kind], filter, mean: mean.to_vec(), std: std.to_vec() }
    }

    /// Sides of all views in order.
    pub fn sizes(&self) -> Vec<usize> {
        self.kinds.iter().map(|kind| kind.size).collect()
    }

    /// Scratch memory with room for any of the views; the size of images adds to it.
    pub fn scratch(&self) -> Scratch {
        let side = self.kinds.iter().map(|kind| kind.size).max().unwrap_or(0);
        let row_len = side * self.mean.len();
        Scratch {
            resize: ResizeScratch::default(),
            pixels: Vec::with_capacity(side * row_len),
            blur: Vec::with_capacity(SCRATCH_LINES * row_len),
        }
    }

    /// Draws and writes all views of `image`, `[S,S,C]` each, in order.
    ///
    /// # Panics
    /// If `views` are not as many and as long as [`Views::sizes`] says.
    pub fn make(
        &self,
        image: &Image,
        stream: &mut Stream,
        views: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) {
        assert_eq!(views.len(), self.kinds.len(), "one slice per view");
        for (kind, view) in self.kinds.iter().zip(views) {
            self.make_view(kind, image, stream, view, scratch);
        }
    }

    fn make_view(
        &self,
        kind: &ViewKind,
        image: &Image,
        stream: &mut Stream,
        view: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let Image { height, width, channels, .. } = *image;
        let source = (&image.pixels[..], width, channels);
        let crop = random_resized_crop(height, width, kind.scale, stream);
        let Scratch { resize: resize_scratch, pixels, blur } = scratch;
        let size = (kind.size, kind.size);
        resize(self.filter, source, crop, size, resize_scratch, pixels);
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
        if stream.chance(kind.greyscale) {
            greyscale(pixels, channels);
        }
        if stream.chance(kind.blur) {
            let sigma = stream.range(kind.blur_sigma.0, kind.blur_sigma.1);
            gaussian_blur(pixels, (kind.size, kind.size, channels), sigma, blur);
        }
        if stream.chance(kind.solarise) {
            solarise(pixels);
        }
        normalise(pixels, &self.mean, &self.std, view);
    }
}

/// Mirrors every row.
fn flip(pixels: &mut [u8], width: usize, channels: usize) {
    for row in pixels.chunks_exact_mut(width * channels) {
        for x in 0..width / 2 {
            for channel in 0..channels {
                row.swap(x * channels + channel, (width - 1 - x) * channels + channel);
            }
        }
    }
}

/// Turns a square picture by 90 degrees, in rings of four pixels that change places.
fn quarter_turn(pixels: &mut [u8], size: usize, channels: usize) {
    let at = |y: usize, x: usize, channel: usize| (y * size + x) * channels + channel;
    for y in 0..size / 2 {
        for x in 0..size.div_ceil(2) {
            for channel in 0..channels {
                let (down, left) = (size - 1 - y, size - 1 - x);
                pixels.swap(at(y, x, channel), at(left, y, channel));
                pixels.swap(at(left, y, channel), at(down, left, channel));
                pixels.swap(at(down, left, channel), at(x, down, channel));
            }
        }
    }
}

/// The four changes in random order, each by a factor of its own.
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

/// (pixel / 255 - mean) / std.
fn normalise(pixels: &[u8], mean: &[f32], std: &[f32], view: &mut [f32]) {
    let channels = mean.len();
    assert_eq!(pixels.len(), view.len(), "a view of another size");
    for (view, pixel) in view.chunks_exact_mut(channels).zip(pixels.chunks_exact(channels)) {
        for (((view, &pixel), mean), std) in view.iter_mut().zip(pixel).zip(mean).zip(std) {
            *view = (f32::from(pixel) / 255.0 - mean) / std;
        }
    }
}

/// How evaluations look at an image: its short side resized to `resize`, the middle `size` x `size`
/// pixels, normalised. Images of that very size stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalTransform {
    /// Short side after resizing, in pixels.
    pub resize: usize,
    /// Side of the square in the middle, in pixels.
    pub size: usize,
    /// How images are resized.
    pub filter: Filter,
    /// As in [`ViewPolicy`]; as many as the network's images have channels.
    pub mean: Vec<f32>,
    /// As in [`ViewPolicy`].
    pub std: Vec<f32>,
}

impl EvalTransform {
    /// "256/224" with ImageNet's mean and deviation, which a grey picture has of all three colours.
    pub fn imagenet(filter: Filter, channels: usize) -> EvalTransform {
        let ViewPolicy { mean, std, .. } = ViewPolicy::default();
        let of_channels = |colours: Vec<f32>| match channels {
            3 => colours,
            _ => vec![colours.iter().sum::<f32>() / 3.0; channels],
        };
        let (mean, std) = (of_channels(mean), of_channels(std));
        EvalTransform { resize: 256, size: 224, filter, mean, std }
    }

    /// Numbers of an image after it: size x size x channels.
    pub fn values(&self) -> usize {
        self.size * self.size * self.mean.len()
    }

    /// Writes the image as `[size,size,C]`.
    pub fn apply(&self, image: &Image, view: &mut [f32], scratch: &mut Scratch) {
        normalise(self.pixels(image, scratch), &self.mean, &self.std, view);
    }

    /// A whole image of any size, normalised: `[H,W,C]`.
    pub fn normalised(&self, image: &Image) -> Vec<f32> {
        let image = image.with_channels(self.mean.len());
        let mut view = vec![0.0; image.pixels.len()];
        normalise(&image.pixels, &self.mean, &self.std, &mut view);
        view
    }

    /// The 8-bit pixels before normalising.
    pub fn pixels<'a>(&self, image: &Image, scratch: &'a mut Scratch) -> &'a [u8] {
        let image = image.with_channels(self.mean.len());
        let Image { height, width, channels, .. } = *image;
        let short = height.min(width);
        // The long side is rounded down, as torchvision's Resize does.
        let (tall, wide) = (self.resize * height / short, self.resize * width / short);
        let Scratch { resize: resize_scratch, pixels, blur: resized } = scratch;
        let source = (&image.pixels[..], width, channels);
        let whole = Crop::whole(height, width);
        resize(self.filter, source, whole, (tall, wide), resize_scratch, resized);
        let crop = Crop::centre(tall, wide, (self.size, self.size));
        pixels.clear();
        for row in resized.chunks_exact(wide * channels).skip(crop.top).take(crop.height) {
            pixels.extend_from_slice(&row[crop.left * channels..][..crop.width * channels]);
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::random::Purpose;

    fn image() -> Image {
        let pixels = (0..20 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
        Image { height: 20, width: 24, channels: 3, pixels }
    }

    fn views(policy: &ViewPolicy, index: u64) -> Vec<Vec<f32>> {
        let mut views: Vec<Vec<f32>> =
            policy.sizes().iter().map(|size| vec![f32::NAN; size * size * 3]).collect();
        let mut slices: Vec<&mut [f32]> = views.iter_mut().map(|view| &mut view[..]).collect();
        let mut stream = Stream::new(0, Purpose::Views, 0, index);
        policy.views().make(&image(), &mut stream, &mut slices, &mut Scratch::default());
        views
    }

    fn small() -> ViewPolicy {
        let mut policy = ViewPolicy::default();
        (policy.global1.size, policy.global2.size, policy.local.size) = (16, 16, 7);
        policy
    }

    #[test]
    fn views_are_a_function_of_the_stream() {
        let policy = small();
        assert_eq!(policy.sizes(), [16, 16, 7, 7, 7, 7, 7, 7]);
        let first = views(&policy, 3);
        assert_eq!(first, views(&policy, 3));
        assert_ne!(first, views(&policy, 4));
        assert_ne!(first[0], first[1]);
        assert!(first.iter().flatten().all(|x| x.is_finite()));
    }

    #[test]
    fn without_chances_a_view_is_crop_resize_and_normalise() {
        let mut policy = small();
        policy.local_count = 0;
        for kind in [&mut policy.global1, &mut policy.global2] {
            (kind.flip, kind.jitter, kind.greyscale, kind.blur, kind.solarise) =
                (0.0, 0.0, 0.0, 0.0, 0.0);
        }
        let got = views(&policy, 0);
        let mut stream = Stream::new(0, Purpose::Views, 0, 0);
        let image = image();
        let crop = random_resized_crop(20, 24, (0.2, 1.0), &mut stream);
        let (mut pixels, mut scratch) = (Vec::new(), ResizeScratch::default());
        let source = (&image.pixels[..], 24, 3);
        resize(Filter::Bicubic, source, crop, (16, 16), &mut scratch, &mut pixels);
        for (i, (&got, &pixel)) in got[0].iter().zip(&pixels).enumerate() {
            let want = (f32::from(pixel) / 255.0 - policy.mean[i % 3]) / policy.std[i % 3];
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_classifier_sees_a_crop_mirrored_half_of_the_time() {
        let (mean, std) = (vec![0.0; 3], vec![1.0; 3]);
        let views = Views::crop_and_flip(5, (0.3, 1.0), Filter::Bilinear, (&mean, &std));
        assert_eq!(views.sizes(), [5]);
        let image = image();
        let mut flipped = 0;
        for index in 0..200 {
            let mut view = vec![0.0; 75];
            let mut stream = Stream::new(0, Purpose::Views, 0, index);
            views.make(&image, &mut stream, &mut [&mut view], &mut Scratch::default());
            let mut stream = Stream::new(0, Purpose::Views, 0, index);
            let crop = random_resized_crop(20, 24, (0.3, 1.0), &mut stream);
            let (mut pixels, mut scratch) = (Vec::new(), ResizeScratch::default());
            let source = (&image.pixels[..], 24, 3);
            resize(Filter::Bilinear, source, crop, (5, 5), &mut scratch, &mut pixels);
            let normalised = |pixels: &[u8]| -> Vec<f32> {
                pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
            };
            if view != normalised(&pixels) {
                flip(&mut pixels, 5, 3);
                assert_eq!(view, normalised(&pixels));
                flipped += 1;
            }
        }
        assert!((75..125).contains(&flipped), "{flipped}");
    }

    #[test]
    fn four_quarter_turns_and_two_flips_change_nothing() {
        for size in [1, 2, 5, 8] {
            let original: Vec<u8> = (0..size * size * 3).map(|i| i as u8).collect();
            let mut pixels = original.clone();
            quarter_turn(&mut pixels, size, 3);
            // The pixel at the top left comes from the left end of the bottom row.
            assert_eq!(pixels[..3], original[(size - 1) * size * 3..][..3]);
            (0..3).for_each(|_| quarter_turn(&mut pixels, size, 3));
            assert_eq!(pixels, original);
            (0..2).for_each(|_| flip(&mut pixels, size, 3));
            assert_eq!(pixels, original);
        }
    }

    #[test]
    fn crops_lie_inside_and_have_the_area_drawn() {
        let mut stream = Stream::new(1, Purpose::Test, 0, 0);
        for _ in 0..2000 {
            let crop = random_resized_crop(40, 60, (0.2, 0.5), &mut stream);
            assert!(crop.top + crop.height <= 40 && crop.left + crop.width <= 60);
            let share = (crop.height * crop.width) as f32 / 2400.0;
            assert!((0.18..0.53).contains(&share), "{share}");
            let aspect = crop.width as f32 / crop.height as f32;
            assert!((0.7..1.43).contains(&aspect), "{aspect}");
        }
        // No draw fits a line of pixels: the fallback is in its middle.
        let crop = random_resized_crop(1, 100, (0.9, 1.0), &mut stream);
        assert_eq!((crop.height, crop.width, crop.left), (1, 1, 50));
    }
}
