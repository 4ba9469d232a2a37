//! A trained backbone, its image preprocessing, and labelled images to evaluate it with.

use std::path::Path;
use std::sync::Arc;

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::pipeline::PipelineConfig;
use carp::views::{EvalTransform, Views};
use datasets::{Crop, Dataset, Filter, Progress, Splits, Subset};

use crate::backbone::Backbone;
use crate::features::{ClassIds, Encoder, FeatureExtractor, POOLED, network_features};
use crate::label_subset;
use crate::network_file::{NetworkFile, NetworkName};

/// Smallest and largest area of a random crop, as fractions of the image: torchvision's default.
pub const CROP_SCALE: (f32, f32) = (0.08, 1.0);

/// A backbone and its image preprocessing.
#[derive(Clone)]
pub struct TrainedBackbone<'a> {
    /// Its settings and weights.
    pub network: Backbone,
    /// Preprocessing of test images.
    pub transform: EvalTransform,
    /// Images per batch in inference.
    pub batch: usize,
    /// Threads that make random views.
    pub threads: usize,
    /// Its device.
    pub device: Device<'a>,
}

impl<'a> TrainedBackbone<'a> {
    /// A network of a checkpoint, for views made by as many threads as the pool has.
    ///
    /// # Errors
    /// Those of [`NetworkFile::backbone`].
    pub fn new(
        source: &mut NetworkFile,
        network: NetworkName,
        transform: EvalTransform,
        batch: usize,
        device: Device<'a>,
    ) -> Result<TrainedBackbone<'a>> {
        let (network, threads) = (source.backbone(network)?, rayon::current_num_threads());
        Ok(TrainedBackbone { network, transform, batch, threads, device })
    }

    /// The backbone with its preprocessing.
    ///
    /// # Errors
    /// Images too small for it, or a missing weight.
    pub fn encoder(&self, transform: EvalTransform) -> Result<Encoder> {
        Encoder::new(&self.network, transform, POOLED, self.batch, self.device)
    }

    /// The backbone, frozen.
    ///
    /// # Errors
    /// Images too small for it, or a missing weight.
    pub fn extractor(&self) -> Result<FeatureExtractor> {
        let size = self.transform.size;
        let mut extractor =
            FeatureExtractor::new(&self.network.config, self.batch, size, self.device)?;
        extractor.load(&self.network.tensors)?;
        Ok(extractor)
    }

    /// Features `[N,D]` of all images, preprocessed like test images.
    ///
    /// # Errors
    /// An image that cannot be read, a feature that is not finite.
    pub fn features(
        &self,
        extractor: &mut FeatureExtractor,
        data: &Arc<dyn Dataset>,
    ) -> Result<Vec<f32>> {
        let views = (&self.transform, &[Crop::MIDDLE][..]);
        network_features(extractor, views, &**data, |_| ())?.of_all(&**data)
    }

    /// The training view of a classifier: a random crop with this area fraction, resized (bilinear,
    /// torchvision's default) to the size of test images and mirrored with probability 0.5.
    ///
    /// # Errors
    /// A fraction out of range.
    pub fn training_view(&self, crop_scale: (f32, f32)) -> Result<Views> {
        let (low, high) = crop_scale;
        if !(low > 0.0 && (low..=1.0).contains(&high)) {
            let detail = format!("crop scale {low},{high}: choose 0 < low <= high <= 1");
            return Err(Error::usage(detail));
        }
        let EvalTransform { size, mean, std, .. } = &self.transform;
        Ok(Views::crop_and_flip(*size, crop_scale, Filter::Bilinear, (mean, std)))
    }

    /// The preprocessing in words: names and values for a report. Without a `crop_scale`, training
    /// images are preprocessed like test images.
    pub fn described(&self, crop_scale: Option<(f32, f32)>) -> [(&'static str, String); 2] {
        let size = self.transform.size;
        let test = self.transform.to_string();
        let train = match crop_scale {
            Some((low, high)) => format!(
                "random crop of {low} to {high} of the area to {size} x {size} (bilinear), mirrored \
                 with probability 0.5"
            ),
            None => format!("once, as test images: {test}"),
        };
        [("training view", train), ("test view", test)]
    }

    /// Batches of such views.
    pub fn pipeline(&self, seed: u64, batch: usize, partial: bool, steps: usize) -> PipelineConfig {
        let threads = self.threads;
        let (rank, ranks, first_step, ahead) = (0, 1, 0, 2);
        PipelineConfig { seed, batch, rank, ranks, partial, first_step, steps, ahead, threads }
    }
}

/// Labelled images to train a classifier on, and held-out ones.
#[derive(Clone)]
pub struct LabelledSplits {
    /// Training images.
    pub train: Arc<dyn Dataset>,
    /// The split that they are from, with what cannot be read.
    whole: Arc<dyn Dataset>,
    /// Their numbers in it, rising.
    readable: Vec<u32>,
    /// One class per image, below the number of `ids`.
    pub train_labels: Vec<u32>,
    /// Test images.
    pub test: Arc<dyn Dataset>,
    /// One class per image, likewise.
    pub test_labels: Vec<u32>,
    /// The data set's labels of the classes that occur.
    pub ids: ClassIds,
}

impl LabelledSplits {
    /// From a data set.
    ///
    /// # Errors
    /// If it has no labels, and those of [`LabelledSplits::of`].
    pub fn new(splits: &Splits, progress: Progress) -> Result<LabelledSplits> {
        match (&splits.train, &splits.test) {
            (Some(train), Some(test)) => {
                LabelledSplits::of(Arc::clone(train), Arc::clone(test), progress)
            }
            _ => {
                let name = splits.pretrain.name();
                let why = match splits.pretrain.shown(0) {
                    Some(_) => "its images show any number of classes, and this needs one each",
                    None => "no folders or labels of at least two classes were found",
                };
                Err(Error::usage(format!("{name} has no labels to evaluate with: {why}")))
            }
        }
    }

    /// The readable images of two splits; reports the images decoded to find them, split by split.
    ///
    /// # Errors
    /// An image without a label; an image that cannot be read, if the data set skips none.
    pub fn of(
        train: Arc<dyn Dataset>,
        test: Arc<dyn Dataset>,
        progress: Progress,
    ) -> Result<LabelledSplits> {
        if train.is_empty() || test.is_empty() {
            let detail = format!("{} has too few images to hold any out", train.name());
            return Err(Error::usage(detail));
        }
        let whole = Arc::clone(&train);
        let (train, test) = (Subset::readable(train, progress)?, Subset::readable(test, progress)?);
        let is_readable = |&index: &u32| !whole.is_unreadable(index as usize);
        let readable = (0..whole.len() as u32).filter(is_readable).collect();
        let (train_labels, test_labels) = (labels(&*train)?, labels(&*test)?);
        let ids = ClassIds::of(&[&train_labels, &test_labels]);
        Ok(LabelledSplits {
            train_labels: ids.classes(&train_labels),
            test_labels: ids.classes(&test_labels),
            train,
            whole,
            readable,
            test,
            ids,
        })
    }

    /// The training images listed in a file: see [`label_subset::listed`]. Those that cannot be read
    /// are left out.
    ///
    /// # Errors
    /// Those of [`label_subset::listed`]; no image in the list can be read.
    pub fn listed(&self, path: &Path) -> Result<Vec<u32>> {
        let row = |index: u32| Some(self.readable.binary_search(&index).ok()? as u32);
        let listed = label_subset::listed(path, &*self.whole)?;
        let rows: Vec<u32> = listed.into_iter().filter_map(row).collect();
        if rows.is_empty() {
            return Err(Error::data(path, "no image in the list can be read"));
        }
        Ok(rows)
    }
}

/// The labels of all images.
///
/// # Errors
/// An image without one.
pub fn labels(data: &dyn Dataset) -> Result<Vec<u32>> {
    let label = |image| {
        let missing = || Error::usage(format!("image {image} of {} has no label", data.name()));
        data.label(image).ok_or_else(missing)
    };
    (0..data.len()).map(label).collect()
}
