//! A trained backbone, its image preprocessing, and labelled images to evaluate it with.

use std::sync::Arc;

use autograd::Graph;
use carp::checkpoint::Checkpoint;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::layout;
use carp::learner::Device;
use carp::nn::{Params, ResNet, ResNetConfig};
use carp::pipeline::PipelineConfig;
use carp::views::{EvalTransform, Views};
use datasets::{Dataset, Filter, Progress, Splits, Subset};

use crate::features::{FeatureExtractor, network_features};

/// A backbone and its image preprocessing.
#[derive(Clone)]
pub struct TrainedBackbone<'a> {
    /// Which ResNet.
    pub resnet: ResNetConfig,
    /// Pairs of torchvision's names and numbers in this project's layout.
    pub tensors: Vec<(String, Vec<f32>)>,
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
    /// The teacher's backbone in a checkpoint, with its run's settings.
    ///
    /// # Errors
    /// A tensor that is missing or does not have the shape those settings require.
    pub fn teacher(
        checkpoint: &Checkpoint,
        config: &Config,
        device: Device<'a>,
    ) -> Result<TrainedBackbone<'a>> {
        let resnet = config.step().resnet;
        let (mut graph, mut params) = (Graph::new(), Params::new(false));
        ResNet::new(&mut graph, &mut params, &resnet);
        let mut tensors = Vec::new();
        for param in params.all() {
            let info = graph.info(param.value);
            let (shape, data) = checkpoint.tensor(&format!("teacher.backbone.{}", info.name))?;
            let want = layout::pytorch_shape(&info.shape);
            if shape != want {
                let name = &info.name;
                let detail = format!("teacher.backbone.{name} is {shape:?}, should be {want:?}");
                return Err(Error::usage(detail));
            }
            tensors.push((info.name.clone(), layout::from_pytorch(shape, data)));
        }
        Ok(TrainedBackbone {
            resnet,
            tensors,
            transform: config.eval_transform(),
            batch: config.knn.batch_size,
            threads: config.threads(),
            device,
        })
    }

    /// The backbone, frozen.
    ///
    /// # Errors
    /// Images too small for it, or a missing weight.
    pub fn extractor(&self) -> Result<FeatureExtractor> {
        let size = self.transform.size;
        let mut extractor = FeatureExtractor::new(&self.resnet, self.batch, size, self.device)?;
        extractor.load(&self.tensors)?;
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
        network_features(extractor, &self.transform, &**data, |_| ())?.of_all(&**data)
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
    pub fn described(&self, crop_scale: Option<(f32, f32)>) -> [(&'static str, String); 3] {
        let size = self.transform.size;
        let test = self.transform.to_string();
        let train = match crop_scale {
            Some((low, high)) => format!(
                "random crop of {low} to {high} of the area to {size} x {size} (bilinear), mirrored \
                 with probability 0.5"
            ),
            None => format!("once, as test images: {test}"),
        };
        let arch = format!("{:?}", self.resnet.arch).to_lowercase();
        let network = format!("teacher's backbone, {arch} of width {}", self.resnet.width);
        [("network", network), ("training view", train), ("test view", test)]
    }

    /// Batches of such views.
    pub fn pipeline(&self, seed: u64, batch: usize, partial: bool, steps: usize) -> PipelineConfig {
        let threads = self.threads;
        PipelineConfig { seed, batch, partial, first_step: 0, steps, ahead: 2, threads }
    }
}

/// Labelled images to train a classifier on, and held-out ones.
#[derive(Clone)]
pub struct LabelledSplits {
    /// Training images.
    pub train: Arc<dyn Dataset>,
    /// One label per image.
    pub train_labels: Vec<u32>,
    /// Test images.
    pub test: Arc<dyn Dataset>,
    /// One label per image.
    pub test_labels: Vec<u32>,
    /// Number of classes.
    pub classes: usize,
}

impl LabelledSplits {
    /// From a data set.
    ///
    /// # Errors
    /// If it has no labels, and those of [`LabelledSplits::of`].
    pub fn new(splits: &Splits) -> Result<LabelledSplits> {
        match (&splits.train, &splits.test) {
            (Some(train), Some(test)) => LabelledSplits::of(Arc::clone(train), Arc::clone(test)),
            _ => {
                let name = splits.pretrain.name();
                Err(Error::usage(format!("{name} has no labels to evaluate with")))
            }
        }
    }

    /// The readable images of two splits.
    ///
    /// # Errors
    /// An image without a label; an image that cannot be read, if the data set skips none.
    pub fn of(train: Arc<dyn Dataset>, test: Arc<dyn Dataset>) -> Result<LabelledSplits> {
        if train.is_empty() || test.is_empty() {
            let detail = format!("{} has too few images to hold any out", train.name());
            return Err(Error::usage(detail));
        }
        let readable = |data| Subset::readable(data, Progress::none());
        let (train, test) = (readable(train)?, readable(test)?);
        Ok(LabelledSplits {
            train_labels: labels(&*train)?,
            test_labels: labels(&*test)?,
            classes: train.classes().len(),
            train,
            test,
        })
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
