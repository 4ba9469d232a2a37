//! Features of images of any size, one by one and at several scales, as in the authors' retrieval
//! script: `f = sum_s F(resize(x, s))`, then scaled to length 1.

use carp::error::Result;
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::Dataset;

use super::extractor::{FeatureExtractor, POOLED};
use super::feature_set::FeatureSet;
use super::finite::check_finite;
use super::image_features::ImageFeatures;
use crate::backbone::Backbone;

/// 1, 1/sqrt(2) and 1/2.
pub const SCALES: [f64; 3] = [1.0, std::f64::consts::FRAC_1_SQRT_2, 0.5];

/// Bytes of executors to keep, one per image size.
const KEPT: usize = 3 << 30;

/// A backbone for images of any size.
pub struct AnySize<'a> {
    backbone: Backbone,
    device: Device<'a>,
    /// By (height, width), most recently used last.
    executors: Vec<((usize, usize), FeatureExtractor)>,
}

impl<'a> AnySize<'a> {
    /// Executors are created when a size first occurs.
    pub fn new(backbone: Backbone, device: Device<'a>) -> AnySize<'a> {
        AnySize { backbone, device, executors: Vec::new() }
    }

    /// The length of a feature vector.
    pub fn dim(&self) -> usize {
        self.backbone.config.features()
    }

    /// Features of an image `[H,W,C]`, normalised for the network.
    ///
    /// # Errors
    /// An image too small for the backbone.
    pub fn features(&mut self, image: &[f32], size: (usize, usize)) -> Result<Vec<f32>> {
        let place = self.executors.iter().position(|(known, _)| *known == size);
        let entry = match place {
            Some(place) => self.executors.remove(place),
            None => {
                let config = &self.backbone.config;
                let mut extractor =
                    FeatureExtractor::of_layer(config, 1, size, POOLED, self.device)?;
                extractor.load(&self.backbone.tensors)?;
                (size, extractor)
            }
        };
        self.executors.push(entry);
        let bytes = |executors: &[((usize, usize), FeatureExtractor)]| -> usize {
            executors.iter().map(|(_, extractor)| extractor.bytes()).sum()
        };
        while self.executors.len() > 1 && bytes(&self.executors) > KEPT {
            self.executors.remove(0);
        }
        let (_, extractor) = self.executors.last_mut().expect("just pushed");
        extractor.extract(1, |_, pixels| {
            pixels.copy_from_slice(image);
            Ok(())
        })
    }

    /// Features and labels of the readable images, uncropped, at `scales`; calls `progress` after
    /// each image with the number done.
    ///
    /// # Errors
    /// An image that cannot be read, if the data set skips none, or is too small for the backbone;
    /// no image that can be read; a feature that is not finite.
    pub fn feature_set(
        &mut self,
        data: &dyn Dataset,
        transform: &EvalTransform,
        scales: &[f64],
        mut progress: impl FnMut(usize),
    ) -> Result<FeatureSet> {
        let mut features = Vec::with_capacity(data.len() * self.dim());
        let mut rows = Vec::with_capacity(data.len());
        for index in 0..data.len() {
            if let Some(image) = data.readable(index)? {
                let pixels = transform.normalised(&image);
                features.extend(self.multi_scale(&pixels, (image.height, image.width), scales)?);
                rows.push(index as u32);
            }
            progress(index + 1);
        }
        let made = ImageFeatures::new(features, rows, data)?;
        check_finite(data.name().as_ref(), &made.features, self.dim())?;
        Ok(made.labelled(data))
    }

    /// The mean of the features at each of `scales`, scaled to length 1.
    ///
    /// # Errors
    /// An image too small for the backbone.
    pub fn multi_scale(
        &mut self,
        image: &[f32],
        size: (usize, usize),
        scales: &[f64],
    ) -> Result<Vec<f32>> {
        let mut sum = vec![0.0; self.dim()];
        for &scale in scales {
            let features = if scale == 1.0 {
                self.features(image, size)?
            } else {
                let (smaller, size) = interpolate(image, size, scale);
                self.features(&smaller, size)?
            };
            sum.iter_mut().zip(&features).for_each(|(sum, feature)| *sum += feature);
        }
        let count = scales.len() as f32;
        sum.iter_mut().for_each(|sum| *sum /= count);
        let square: f64 = sum.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let length = square.sqrt().max(1e-12);
        sum.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        Ok(sum)
    }
}

/// Bilinear interpolation of `[H,W,C]` to floor(H s) x floor(W s), at input position (i + 1/2) / s
/// - 1/2, without antialiasing: PyTorch's `interpolate(scale_factor=s, align_corners=False)`.
fn interpolate(
    image: &[f32],
    (height, width): (usize, usize),
    scale: f64,
) -> (Vec<f32>, (usize, usize)) {
    let channels = image.len() / (height * width);
    let smaller = |length: usize| ((length as f64 * scale) as usize).max(1);
    let (tall, wide) = (smaller(height), smaller(width));
    // Both neighbours of an output position in one direction, and the second one's weight.
    let neighbours = |output: usize, length: usize| {
        let place = (((output as f32 + 0.5) * (1.0 / scale) as f32) - 0.5).max(0.0);
        let first = (place as usize).min(length - 1);
        (first, (first + 1).min(length - 1), place - first as f32)
    };
    let mut resized = Vec::with_capacity(tall * wide * channels);
    for y in 0..tall {
        let (top, bottom, down) = neighbours(y, height);
        for x in 0..wide {
            let (left, right, across) = neighbours(x, width);
            for channel in 0..channels {
                let at = |y: usize, x: usize| image[(y * width + x) * channels + channel];
                let upper = at(top, left) * (1.0 - across) + at(top, right) * across;
                let lower = at(bottom, left) * (1.0 - across) + at(bottom, right) * across;
                resized.push(upper * (1.0 - down) + lower * down);
            }
        }
    }
    (resized, (tall, wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_means_of_four() {
        let image: Vec<f32> = (0..16u8).map(f32::from).collect();
        let (half, size) = interpolate(&image, (4, 4), 0.5);
        assert_eq!((half, size), (vec![2.5, 4.5, 10.5, 12.5], (2, 2)));
        // A single pixel is unchanged.
        assert_eq!(interpolate(&[3.0], (1, 1), 0.5), (vec![3.0], (1, 1)));
    }
}
