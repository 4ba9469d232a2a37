//! Sources of a linear probe's training features: fixed, or recomputed in every epoch by a frozen
//! backbone from random views.

use std::sync::Arc;

use carp::error::{Error, Result};
use carp::pipeline::{Pipeline, PipelineConfig};
use carp::views::Views;
use datasets::Dataset;
use tensor::random::{Purpose, Stream};

use crate::features::{FeatureExtractor, Labelled};

/// Features of a batch and their classes.
#[derive(Default)]
pub struct FeatureBatch {
    /// `[rows,D]`.
    pub features: Vec<f32>,
    /// `[rows]`.
    pub labels: Vec<u32>,
}

/// Training features, shuffled in every epoch; the last batch of an epoch may be smaller.
pub trait Batches {
    /// The next batch, of at most `batch` rows, the same in all calls.
    ///
    /// # Errors
    /// An image that cannot be read, a feature that is not finite.
    fn next(&mut self, batch: usize, into: &mut FeatureBatch) -> Result<()>;
    /// Rows per epoch.
    fn rows(&self) -> usize;
}

/// Fixed features, the same in every epoch.
pub struct StoredBatches<'a> {
    set: Labelled<'a>,
    dim: usize,
    seed: u64,
    order: Vec<u32>,
    epoch: u64,
    /// Rows done in this epoch.
    place: usize,
}

impl<'a> StoredBatches<'a> {
    /// Selected rows of a set.
    pub fn new(set: Labelled<'a>, dim: usize, rows: Vec<u32>, seed: u64) -> StoredBatches<'a> {
        let place = rows.len();
        StoredBatches { set, dim, seed, order: rows, epoch: 0, place }
    }
}

impl Batches for StoredBatches<'_> {
    fn next(&mut self, batch: usize, into: &mut FeatureBatch) -> Result<()> {
        if self.place == self.order.len() {
            self.order.sort_unstable();
            Stream::new(self.seed, Purpose::Order, self.epoch, 0).shuffle(&mut self.order);
            (self.epoch, self.place) = (self.epoch + 1, 0);
        }
        let end = self.order.len().min(self.place + batch);
        into.features.clear();
        into.labels.clear();
        for &row in &self.order[self.place..end] {
            let row = row as usize;
            into.features.extend_from_slice(&self.set.features[row * self.dim..][..self.dim]);
            into.labels.push(self.set.labels[row]);
        }
        self.place = end;
        Ok(())
    }

    fn rows(&self) -> usize {
        self.order.len()
    }
}

/// Features of random views, new ones in every epoch.
pub struct AugmentedBatches<'a> {
    data: Arc<dyn Dataset>,
    /// One class per image.
    labels: &'a [u32],
    extractor: &'a mut FeatureExtractor,
    pipeline: Pipeline,
    dim: usize,
    /// Features of images that the pipeline delivered beyond the last batch.
    ahead: FeatureBatch,
    /// Rows done in this epoch.
    place: usize,
}

impl<'a> AugmentedBatches<'a> {
    /// Batches of the images of `data` with these classes, in the one view of `views`, through
    /// `extractor`'s backbone. `config` sets its batch size, and when to stop.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(
        (data, labels): (Arc<dyn Dataset>, &'a [u32]),
        extractor: &'a mut FeatureExtractor,
        views: Views,
        config: PipelineConfig,
    ) -> Result<AugmentedBatches<'a>> {
        assert!(config.partial && views.kinds.len() == 1, "all images, one view of each");
        let dim = extractor.dim();
        let pipeline = Pipeline::start(Arc::clone(&data), views, config)?;
        let ahead = FeatureBatch::default();
        Ok(AugmentedBatches { data, labels, extractor, pipeline, dim, ahead, place: 0 })
    }
}

impl Batches for AugmentedBatches<'_> {
    fn next(&mut self, batch: usize, into: &mut FeatureBatch) -> Result<()> {
        let rows = batch.min(self.data.len() - self.place);
        let AugmentedBatches { data, labels, extractor, pipeline, dim, ahead, .. } = self;
        while ahead.labels.len() < rows {
            let views = pipeline.next_batch()?;
            let [view] = &views.groups[..] else { unreachable!("one view of each") };
            let image = view.len() / views.samples.len();
            let features = extractor.extract(views.samples.len(), |first, pixels| {
                pixels.copy_from_slice(&view[first * image..][..pixels.len()]);
                Ok(())
            })?;
            if let Some(at) = features.iter().position(|feature| !feature.is_finite()) {
                let (sample, feature) = (views.samples[at / *dim], features[at]);
                let detail =
                    format!("a feature of image {sample} is {feature}: the network is broken");
                return Err(Error::data(data.name(), detail));
            }
            ahead.features.extend(features);
            ahead.labels.extend(views.samples.iter().map(|&sample| labels[sample as usize]));
        }
        into.features.clear();
        into.features.extend(ahead.features.drain(..rows * *dim));
        into.labels.clear();
        into.labels.extend(ahead.labels.drain(..rows));
        self.place = (self.place + rows) % self.data.len();
        Ok(())
    }

    fn rows(&self) -> usize {
        self.data.len()
    }
}
