//! k-NN accuracy of a backbone during and after training, on a held-out split.

use std::sync::Arc;

use rayon::prelude::*;

use crate::config::Config;
use crate::data::{Dataset, Image, Splits};
use crate::error::Result;
use crate::eval::knn::knn;
use crate::eval::pixels::pixel_features;
use crate::features::FeatureExtractor;
use crate::learner::Device;
use crate::views::{EvalTransform, Scratch};

/// What k-NN says of a backbone.
pub struct Quality {
    /// Fraction of queries whose class k-NN found.
    pub accuracy: f64,
    /// Features of the bank, `[bank, dim]`.
    pub bank: Vec<f32>,
    /// Features of the queries, `[queries, dim]`.
    pub queries: Vec<f32>,
    /// Length of a feature vector.
    pub dim: usize,
}

/// A labelled bank and labelled queries, with a network to find their features.
pub struct Evaluation {
    bank: Set,
    queries: Set,
    classes: usize,
    k: usize,
    temperature: f32,
    extractor: FeatureExtractor,
    transform: EvalTransform,
}

/// Some images of a data set.
struct Set {
    data: Arc<dyn Dataset>,
    count: usize,
}

impl Set {
    /// The first `most` images, or all if that is 0.
    fn new(data: &Arc<dyn Dataset>, most: usize) -> Set {
        let count = if most == 0 { data.len() } else { most.min(data.len()) };
        Set { data: Arc::clone(data), count }
    }

    fn labels(&self) -> Vec<u32> {
        (0..self.count).map(|i| self.data.label(i).unwrap_or(0)).collect()
    }

    fn images(&self) -> Result<Vec<Arc<Image>>> {
        (0..self.count).into_par_iter().map(|i| self.data.image(i)).collect()
    }
}

impl Evaluation {
    /// The evaluation of a run, or `None` where the data has no labels.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn new(config: &Config, splits: &Splits, device: Device) -> Result<Option<Evaluation>> {
        let (Some(train), Some(test)) = (&splits.train, &splits.test) else { return Ok(None) };
        let transform = config.eval_transform();
        let resnet = config.step(splits.pretrain.channels()).resnet;
        let knn = &config.knn;
        let size = transform.size;
        let extractor = FeatureExtractor::new(&resnet, knn.batch_size, size, device)?;
        Ok(Some(Evaluation {
            bank: Set::new(train, knn.bank),
            queries: Set::new(test, knn.queries),
            classes: train.classes().len(),
            k: knn.k,
            temperature: knn.temperature,
            extractor,
            transform,
        }))
    }

    /// Features and k-NN accuracy of a backbone (torchvision's names, this project's layout).
    ///
    /// # Errors
    /// A missing weight, or an image that cannot be read.
    pub fn measure(&mut self, backbone: &[(String, Vec<f32>)]) -> Result<Quality> {
        self.extractor.load(backbone)?;
        let bank = features(&mut self.extractor, &self.transform, &self.bank)?;
        let queries = features(&mut self.extractor, &self.transform, &self.queries)?;
        let dim = self.extractor.dim();
        let accuracy = self.accuracy(&bank, &queries, dim)?;
        Ok(Quality { accuracy, bank, queries, dim })
    }

    /// k-NN accuracy of the pixels themselves.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn pixels(&self) -> Result<f64> {
        let size = self.transform.size;
        let bank = pixel_features(&self.bank.images()?, size)?;
        let queries = pixel_features(&self.queries.images()?, size)?;
        self.accuracy(&bank, &queries, bank.len() / self.bank.count)
    }

    fn accuracy(&self, bank: &[f32], queries: &[f32], dim: usize) -> Result<f64> {
        let accuracies = knn(
            bank,
            &self.bank.labels(),
            queries,
            &self.queries.labels(),
            dim,
            self.classes,
            &[self.k],
            self.temperature,
        )?;
        Ok(accuracies[0].top1)
    }
}

fn features(
    extractor: &mut FeatureExtractor,
    transform: &EvalTransform,
    set: &Set,
) -> Result<Vec<f32>> {
    extractor.extract(set.count, |first, pixels| {
        let image_len = transform.size * transform.size * set.data.channels();
        pixels.par_chunks_mut(image_len).enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (i, pixels)| {
                let image = set.data.image(first + i)?;
                transform.apply(&image, pixels, scratch);
                Ok(())
            },
        )
    })
}
