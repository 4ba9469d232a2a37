//! Computes features of a data set, batch by batch.

use std::borrow::Cow;

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::nn::ResNetConfig;
use carp::views::{EvalTransform, Scratch};
use datasets::{Crop, Dataset};
use rayon::prelude::*;

use super::extractor::{FeatureExtractor, Layer};
use super::feature_set::FeatureSet;
use super::finite::check_finite;
use super::image_features::{ImageFeatures, Unreadable};
use super::patch_grid::PatchGrid;
use crate::backbone::Backbone;

/// Images per batch of raw pixels.
const PIXEL_ROWS: usize = 1024;

/// A network with its image preprocessing; without a network the pixels are the features.
pub struct Encoder {
    extractor: Option<FeatureExtractor>,
    transform: EvalTransform,
    /// Of the crops of an image whose features are averaged.
    places: Vec<(f64, f64)>,
}

impl Encoder {
    /// A backbone up to `layer` (see [`FeatureExtractor::of_layer`]), `batch` images at a time.
    ///
    /// # Errors
    /// Those of [`FeatureExtractor::of_layer`].
    pub fn new(
        backbone: &Backbone,
        transform: EvalTransform,
        layer: Layer,
        batch: usize,
        device: Device,
    ) -> Result<Encoder> {
        let config = &backbone.config;
        let mut encoder = Encoder::without_weights(config, transform, layer, batch, device)?;
        if let Some(extractor) = &mut encoder.extractor {
            extractor.load(&backbone.tensors)?;
        }
        Ok(encoder)
    }

    /// The same, without weights yet.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn without_weights(
        config: &ResNetConfig,
        transform: EvalTransform,
        layer: Layer,
        batch: usize,
        device: Device,
    ) -> Result<Encoder> {
        let size = (transform.size, transform.size);
        let extractor = FeatureExtractor::of_layer(config, batch, size, layer, device)?;
        Ok(Encoder { extractor: Some(extractor), transform, places: vec![Crop::MIDDLE] })
    }

    /// Raw pixels as features.
    pub fn of_pixels(transform: EvalTransform) -> Encoder {
        Encoder { extractor: None, transform, places: vec![Crop::MIDDLE] }
    }

    /// The same network with the mean of the features of an image's patches.
    ///
    /// # Errors
    /// Raw pixels.
    pub fn over_patches(self, grid: &PatchGrid) -> Result<Encoder> {
        if self.extractor.is_none() {
            let detail = "patches need a network: the mean of their pixels is no feature";
            return Err(Error::usage(detail.to_owned()));
        }
        Ok(Encoder { transform: grid.transform(&self.transform), places: grid.places(), ..self })
    }

    /// Replaces the network's weights, if there is a network: see [`FeatureExtractor::load_from`].
    ///
    /// # Errors
    /// A missing tensor.
    pub fn load_from<'t>(
        &mut self,
        tensor: impl FnMut(&str) -> Option<Cow<'t, [f32]>>,
    ) -> Result<()> {
        self.extractor.as_mut().map_or(Ok(()), |extractor| extractor.load_from(tensor))
    }

    /// The image preprocessing.
    pub fn transform(&self) -> &EvalTransform {
        &self.transform
    }

    /// Resizing and cropping in words.
    pub fn crop(&self) -> String {
        match self.places.len() {
            1 => self.transform.crop(),
            count => {
                let size = self.transform.size;
                format!("{}, {count} squares of {size} x {size}", self.transform.resizing())
            }
        }
    }

    /// The length of a feature vector.
    pub fn dim(&self) -> usize {
        match &self.extractor {
            Some(extractor) => extractor.dim(),
            None => self.transform.values(),
        }
    }

    /// Features of the images that can be read; calls `progress` before each batch with the number
    /// done.
    ///
    /// # Errors
    /// An image that cannot be read, if the data set skips none; no image that can; a feature that is
    /// not finite.
    pub fn features(
        &mut self,
        data: &dyn Dataset,
        progress: impl FnMut(usize),
    ) -> Result<ImageFeatures> {
        match &mut self.extractor {
            Some(extractor) => {
                network_features(extractor, (&self.transform, &self.places), data, progress)
            }
            None => pixels(&self.transform, data, progress),
        }
    }

    /// Features and labels of the images that can be read.
    ///
    /// # Errors
    /// Those of [`Encoder::features`].
    pub fn feature_set(
        &mut self,
        data: &dyn Dataset,
        progress: impl FnMut(usize),
    ) -> Result<FeatureSet> {
        Ok(self.features(data, progress)?.labelled(data))
    }
}

/// Features of the images that can be read, by the extractor's network, as means over the crops of an
/// image at these places ([`Crop::at`]); calls `progress` before each batch with the number done.
///
/// # Errors
/// An image that cannot be read, if the data set skips none; no image that can; a feature that is
/// not finite.
pub fn network_features(
    extractor: &mut FeatureExtractor,
    (transform, places): (&EvalTransform, &[(f64, f64)]),
    data: &dyn Dataset,
    mut progress: impl FnMut(usize),
) -> Result<ImageFeatures> {
    let (images, count) = (data.len(), places.len());
    let unreadable = Unreadable::default();
    // A pass over the images for each place: memory does not grow with their number.
    let mut passes = places.iter().enumerate().map(|(pass, &place)| {
        extractor.extract(images, |first, batch| {
            progress((pass * images + first) / count);
            batch.par_chunks_mut(transform.values()).enumerate().try_for_each_init(
                Scratch::default,
                |scratch, (index, pixels)| {
                    let row = first + index;
                    match data.readable(row)? {
                        Some(image) => transform.apply_at(place, &image, pixels, scratch),
                        None => unreadable.note(row),
                    }
                    Ok(())
                },
            )
        })
    });
    let mut mean = passes.next().expect("at least one place")?;
    for features in passes {
        mean.iter_mut().zip(features?).for_each(|(mean, feature)| *mean += feature);
    }
    mean.iter_mut().for_each(|mean| *mean /= count as f32);
    let made = ImageFeatures::without(mean, unreadable, data)?;
    check_finite(data.name().as_ref(), &made.features, extractor.dim())?;
    Ok(made)
}

/// The pixels of the transformed images that can be read, from 0 to 1: `[rows, size*size*C]`; calls
/// `progress` before each batch with the number done.
///
/// # Errors
/// An image that cannot be read, if the data set skips none; no image that can.
pub fn pixels(
    transform: &EvalTransform,
    data: &dyn Dataset,
    mut progress: impl FnMut(usize),
) -> Result<ImageFeatures> {
    let dim = transform.values();
    let unreadable = Unreadable::default();
    let mut features = vec![0.0; data.len() * dim];
    let mut first = 0;
    for batch in features.chunks_mut(PIXEL_ROWS * dim) {
        progress(first);
        batch.par_chunks_mut(dim).enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (index, features)| -> Result<()> {
                let row = first + index;
                let Some(image) = data.readable(row)? else {
                    unreadable.note(row);
                    return Ok(());
                };
                let pixels = transform.pixels(&image, scratch);
                for (feature, &pixel) in features.iter_mut().zip(pixels) {
                    *feature = f32::from(pixel) / 255.0;
                }
                Ok(())
            },
        )?;
        first += PIXEL_ROWS;
    }
    ImageFeatures::without(features, unreadable, data)
}
