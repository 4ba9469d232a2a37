//! Computes features of a data set, batch by batch.

use carp::error::Result;
use carp::learner::Device;
use carp::nn::ResNetConfig;
use carp::views::{EvalTransform, Scratch};
use datasets::{Dataset, Labels};
use rayon::prelude::*;

use super::extractor::FeatureExtractor;
use super::feature_set::FeatureSet;
use crate::backbone::Backbone;

/// A network with its image preprocessing; without a network the pixels are the features.
pub struct Encoder {
    extractor: Option<FeatureExtractor>,
    transform: EvalTransform,
}

impl Encoder {
    /// A backbone up to `layer` (see [`FeatureExtractor::of_layer`]), `batch` images at a time.
    ///
    /// # Errors
    /// Images too small for the backbone, or an unknown layer.
    pub fn new(
        backbone: &Backbone,
        transform: EvalTransform,
        layer: &str,
        batch: usize,
        device: Device,
    ) -> Result<Encoder> {
        let config = &backbone.config;
        let mut encoder = Encoder::without_weights(config, transform, layer, batch, device)?;
        encoder.load(&backbone.tensors)?;
        Ok(encoder)
    }

    /// The same, without weights yet.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn without_weights(
        config: &ResNetConfig,
        transform: EvalTransform,
        layer: &str,
        batch: usize,
        device: Device,
    ) -> Result<Encoder> {
        let size = (transform.size, transform.size);
        let extractor = FeatureExtractor::of_layer(config, batch, size, layer, device)?;
        Ok(Encoder { extractor: Some(extractor), transform })
    }

    /// Raw pixels as features.
    pub fn of_pixels(transform: EvalTransform) -> Encoder {
        Encoder { extractor: None, transform }
    }

    /// Replaces the network's weights, if there is a network.
    ///
    /// # Errors
    /// A missing tensor.
    pub fn load(&mut self, backbone: &[(String, Vec<f32>)]) -> Result<()> {
        self.extractor.as_mut().map_or(Ok(()), |extractor| extractor.load(backbone))
    }

    /// The image preprocessing.
    pub fn transform(&self) -> &EvalTransform {
        &self.transform
    }

    /// The length of a feature vector.
    pub fn dim(&self) -> usize {
        match &self.extractor {
            Some(extractor) => extractor.dim(),
            None => self.transform.values(),
        }
    }

    /// Features `[N,D]` of all images; calls `progress` before each batch with the number done.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn features(
        &mut self,
        data: &dyn Dataset,
        progress: impl FnMut(usize),
    ) -> Result<Vec<f32>> {
        match &mut self.extractor {
            Some(extractor) => network_features(extractor, &self.transform, data, progress),
            None => pixels(&self.transform, data),
        }
    }

    /// Features and labels of all images.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn feature_set(
        &mut self,
        data: &dyn Dataset,
        progress: impl FnMut(usize),
    ) -> Result<FeatureSet> {
        let features = self.features(data, progress)?;
        Ok(FeatureSet { features, dim: self.dim(), labels: labels(data) })
    }
}

/// Features `[N,D]` of all images by the extractor's network; calls `progress` before each batch
/// with the number done.
///
/// # Errors
/// An image that cannot be read.
pub fn network_features(
    extractor: &mut FeatureExtractor,
    transform: &EvalTransform,
    data: &dyn Dataset,
    mut progress: impl FnMut(usize),
) -> Result<Vec<f32>> {
    extractor.extract(data.len(), |first, batch| {
        progress(first);
        batch.par_chunks_mut(transform.values()).enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (index, pixels)| {
                let image = data.image(first + index)?;
                transform.apply(&image, pixels, scratch);
                Ok(())
            },
        )
    })
}

/// The labels of a data set.
pub fn labels(data: &dyn Dataset) -> Labels {
    let single: Option<Vec<u32>> = (0..data.len()).map(|index| data.label(index)).collect();
    let shown: Option<Vec<&[i32]>> = (0..data.len()).map(|index| data.shown(index)).collect();
    match (single, shown) {
        (Some(labels), _) => Labels::Single(labels),
        (None, Some(rows)) => Labels::Multi { classes: data.classes().len(), shown: rows.concat() },
        (None, None) => Labels::None,
    }
}

/// The pixels of all transformed images, from 0 to 1: `[N, size*size*C]`.
///
/// # Errors
/// An image that cannot be read.
pub fn pixels(transform: &EvalTransform, data: &dyn Dataset) -> Result<Vec<f32>> {
    let dim = transform.values();
    let mut features = vec![0.0; data.len() * dim];
    features.par_chunks_mut(dim).enumerate().try_for_each_init(
        Scratch::default,
        |scratch, (index, features)| -> Result<()> {
            let image = data.image(index)?;
            for (feature, &pixel) in features.iter_mut().zip(transform.pixels(&image, scratch)) {
                *feature = f32::from(pixel) / 255.0;
            }
            Ok(())
        },
    )?;
    Ok(features)
}
