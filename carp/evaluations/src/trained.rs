//! A trained backbone, the labelled images that it is evaluated with, and how it looks at them.

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
use datasets::{Dataset, Filter, Splits, Subset};

use crate::features::{FeatureExtractor, network_features};

/// A backbone and how it looks at images.
#[derive(Clone)]
pub struct TrainedBackbone<'a> {
    /// Which ResNet.
    pub resnet: ResNetConfig,
    /// Pairs of torchvision's names and numbers in this project's layout.
    pub tensors: Vec<(String, Vec<f32>)>,
    /// How test images are made ready.
    pub transform: EvalTransform,
    /// Images that go through it at once, where nothing is trained.
    pub batch: usize,
    /// Threads that make random views.
    pub threads: usize,
    /// Where it computes.
    pub device: Device<'a>,
}

impl<'a> TrainedBackbone<'a> {
    /// The teacher's backbone of a checkpoint, with the settings of its run.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape than those settings say.
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

    /// Features `[N,D]` of all images, as test images are seen.
    ///
    /// # Errors
    /// An image that cannot be read, a feature that is not finite.
    pub fn features(
        &self,
        extractor: &mut FeatureExtractor,
        data: &Arc<dyn Dataset>,
    ) -> Result<Vec<f32>> {
        let features = network_features(extractor, &self.transform, &**data, |_| ())?;
        let features = features.of_all(&**data)?;
        match features.iter().position(|feature| !feature.is_finite()) {
            None => Ok(features),
            Some(at) => {
                let (image, feature) = (at / extractor.dim(), features[at]);
                let name = data.name();
                Err(Error::usage(format!(
                    "a feature of image {image} of {name} is {feature}: the network is broken"
                )))
            }
        }
    }

    /// The view that a classifier trains on: a random crop of this share of the area, resized
    /// (bilinear, torchvision's default) to the size of test images and mirrored half of the time.
    ///
    /// # Errors
    /// A share out of range.
    pub fn training_view(&self, crop_scale: (f32, f32)) -> Result<Views> {
        let (low, high) = crop_scale;
        if !(low > 0.0 && (low..=1.0).contains(&high)) {
            let detail = format!("crop scale {low},{high}: choose 0 < low <= high <= 1");
            return Err(Error::usage(detail));
        }
        let EvalTransform { size, mean, std, .. } = &self.transform;
        Ok(Views::crop_and_flip(*size, crop_scale, Filter::Bilinear, (mean, std)))
    }

    /// How images are seen, in words: names and values for a report. Without a `crop_scale`,
    /// training images are seen as test images are.
    pub fn described(&self, crop_scale: Option<(f32, f32)>) -> [(&'static str, String); 3] {
        let EvalTransform { resize, size, .. } = self.transform;
        let test = format!("short side {resize} (bicubic), middle {size} x {size}");
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

/// Labelled images to train a classifier with, and held-out ones.
#[derive(Clone)]
pub struct LabelledSplits {
    /// To train with.
    pub train: Arc<dyn Dataset>,
    /// One each.
    pub train_labels: Vec<u32>,
    /// To test with.
    pub test: Arc<dyn Dataset>,
    /// One each.
    pub test_labels: Vec<u32>,
    /// How many there are.
    pub classes: usize,
}

impl LabelledSplits {
    /// Those of a data set.
    ///
    /// # Errors
    /// Where it has no labels, and those of [`LabelledSplits::of`].
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
        let (train, test) = (Subset::readable(train)?, Subset::readable(test)?);
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
