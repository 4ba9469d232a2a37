//! Semi-supervised fine-tuning: the whole network, from its trained weights, on the few labelled
//! images.
//!
//! The authors published no script for it. The defaults are those of SwAV's published one
//! (`eval_semisup.py` and its README): SGD with momentum 0.9 without weight decay, 20 epochs, times
//! 0.2 after 12 and 16 of them, batches of 256; learning rates 0.02 (backbone) and 5 (classifier)
//! for 1 % of the labels, 0.01 and 0.2 for 10 %; random resized crop and flip; the best epoch is
//! reported. Differences: the classifier starts at N(0, 0.01) and 0, as in the linear probe, and an
//! incomplete last batch is dropped, since its batch norm statistics would be poor.

mod tuner;

use std::path::PathBuf;
use std::sync::Arc;

use carp::error::{Error, Result};
use carp::optimizer::Optimizer;
use carp::pipeline::Pipeline;
use carp::schedule::EpochSchedule;
use datasets::{Dataset, Subset};
use serde::Serialize;

pub use self::tuner::{FineTuner, FineTunerConfig};
use crate::confusion::{Confusion, as_classes};
use crate::features::{FeatureExtractor, Labelled};
use crate::heads::{Heads, HeadsConfig};
use crate::label_subset;
use crate::linear::{
    ClassifierEvent, EpochResult, Tested, best_epoch, keep_better, tested, untrained_classes,
};
use crate::trained::{CROP_SCALE, LabelledSplits, TrainedBackbone};

/// Which labels are known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum KnownLabels {
    /// Those of a fraction of the images, balanced over classes, chosen by the seed.
    Share {
        /// Above 0, at most 1.
        share: f64,
    },
    /// Those of the images in a list: see [`LabelledSplits::listed`].
    List {
        /// The list.
        path: PathBuf,
    },
}

/// The settings of fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SemiSettings {
    /// Which labels are known.
    pub labels: KnownLabels,
    /// Learning rate of the backbone; not scaled by batch size.
    pub lr: f64,
    /// Learning rate of the classifier.
    pub head_lr: f64,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay of all tensors.
    pub weight_decay: f64,
    /// Schedule of both learning rates.
    pub schedule: EpochSchedule,
    /// Passes over the images.
    pub epochs: usize,
    /// Images per update.
    pub batch_size: usize,
    /// Smallest and largest area of a random crop, as fractions of the image.
    pub crop_scale: (f32, f32),
    /// Seed of image selection, the classifier's initial weights, order and views.
    pub seed: u64,
}

impl SemiSettings {
    /// SwAV's for this fraction of the labels: those for 1 % below 3 %, those for 10 % from 3 % on.
    pub fn swav(share: f64) -> SemiSettings {
        let (lr, head_lr) = if share < 0.03 { (0.02, 5.0) } else { (0.01, 0.2) };
        SemiSettings {
            labels: KnownLabels::Share { share },
            lr,
            head_lr,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: EpochSchedule::Multistep { milestones: vec![12, 16], factor: 0.2 },
            epochs: 20,
            batch_size: 256,
            crop_scale: CROP_SCALE,
            seed: 0,
        }
    }

    /// Fails if a setting is out of range: to know before the work.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self) -> Result<()> {
        let fault = |line: String| Err(Error::usage(line));
        for (name, lr) in [("backbone", self.lr), ("classifier", self.head_lr)] {
            if !(lr > 0.0 && lr.is_finite()) {
                return fault(format!("learning rate {lr} of the {name}: choose above 0"));
            }
        }
        if self.epochs == 0 || self.batch_size < 2 {
            let SemiSettings { epochs, batch_size, .. } = self;
            return fault(format!(
                "{epochs} epochs in batches of {batch_size}: at least 1 epoch, in batches of 2"
            ));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return fault(format!("momentum {}: choose from 0 to below 1", self.momentum));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return fault(format!("weight decay {}: choose 0 or more", self.weight_decay));
        }
        if let KnownLabels::Share { share } = self.labels {
            label_subset::check_share(share)?;
        }
        self.schedule.check()
    }
}

/// The result of fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SemiResult {
    /// The settings; the batch is at most the number of images.
    pub settings: SemiSettings,
    /// Images whose labels were used.
    pub train_images: usize,
    /// Images dropped per epoch because they did not fill a batch, different ones each time.
    pub left_out: usize,
    /// Test images.
    pub test_images: usize,
    /// Classes.
    pub classes: usize,
    /// The first epoch with the highest top-1 accuracy.
    pub best: EpochResult,
    /// The last epoch.
    pub last: EpochResult,
    /// All epochs.
    pub epochs: Vec<EpochResult>,
    /// Labels of test images that no image with a known label has: these count as wrong.
    pub untrained: Vec<u32>,
    /// True classes against the predictions in the best epoch; `per_class` in JSON.
    #[serde(rename = "per_class", serialize_with = "as_classes")]
    pub confusion: Confusion,
}

/// Fine-tunes a copy of the backbone and tests it after every epoch.
///
/// # Errors
/// Settings out of range, unsuitable labels, an image that cannot be read, a loss that is not
/// finite.
pub fn semi(
    settings: &SemiSettings,
    backbone: &TrainedBackbone,
    splits: &LabelledSplits,
    show: &mut dyn FnMut(ClassifierEvent),
) -> Result<SemiResult> {
    settings.check()?;
    let LabelledSplits { train, train_labels, test, test_labels, ids, .. } = splits;
    let classes = ids.count();
    let indices = match &settings.labels {
        KnownLabels::Share { share } => {
            label_subset::balanced(train_labels, classes, *share, settings.seed)?
        }
        KnownLabels::List { path } => splits.listed(path)?,
    };
    let labels: Vec<u32> = indices.iter().map(|&index| train_labels[index as usize]).collect();
    let untrained = ids.labels_of(&untrained_classes(&labels, test_labels)?);
    let images = labels.len();
    let train: Arc<dyn Dataset> = Arc::new(Subset::new(Arc::clone(train), indices));

    let mut settings = settings.clone();
    settings.batch_size = settings.batch_size.min(images);
    let SemiSettings { momentum, weight_decay, epochs, batch_size: batch, seed, .. } = settings;
    let config = FineTunerConfig {
        resnet: backbone.network.config,
        classes,
        batch,
        size: backbone.transform.size,
        momentum: momentum as f32,
        weight_decay: weight_decay as f32,
    };
    let mut tuner = FineTuner::new(&config, backbone.device)?;
    tuner.load(&backbone.network.tensors);
    tuner.initialize(seed);
    let names = test.classes();
    let mut test = Tester::new(backbone, (test, test_labels), classes)?;

    let per_epoch = images / batch;
    let steps = epochs * per_epoch;
    let views = backbone.training_view(settings.crop_scale)?;
    let pipeline = backbone.pipeline(seed, batch, false, steps);
    let mut pipeline = Pipeline::start(train, views, pipeline)?;
    let (mut history, mut best) = (Vec::new(), None);
    for epoch in 0..epochs {
        let rate = |lr: f64| settings.schedule.at(lr, epoch, epochs) as f32;
        let rates = [rate(settings.lr), rate(settings.head_lr)];
        let mut loss = 0.0;
        for step in 1..=per_epoch {
            let views = pipeline.next_batch()?;
            let label = |&sample: &u32| labels[sample as usize];
            let batch_labels: Vec<u32> = views.samples.iter().map(label).collect();
            let batch_loss = tuner.step(&views.groups[0], &batch_labels, rates)?;
            loss += f64::from(batch_loss) / per_epoch as f64;
            if !batch_loss.is_finite() {
                let (epoch, SemiSettings { lr, head_lr, .. }) = (epoch + 1, &settings);
                return Err(Error::usage(format!(
                    "the loss is {batch_loss} in epoch {epoch} with learning rates {lr} (backbone) \
                     and {head_lr} (classifier): choose lower ones"
                )));
            }
            show(ClassifierEvent::Step { step: epoch * per_epoch + step, steps });
        }
        let tested = test.measure(&tuner.tensors())?;
        let result = EpochResult { epoch: epoch + 1, loss, test: tested.accuracy };
        keep_better(&mut best, tested);
        show(ClassifierEvent::Epoch(&[result]));
        history.push(result);
    }
    let confusion = best.expect("at least one epoch").confusion(test_labels, classes);
    Ok(SemiResult {
        settings,
        train_images: images,
        left_out: images % batch,
        test_images: test_labels.len(),
        classes,
        best: best_epoch(&history),
        last: *history.last().expect("at least one epoch"),
        epochs: history,
        untrained,
        confusion: confusion.relabelled(|class| ids.label(class)).named(names),
    })
}

/// Tests a fine-tuned network, in inference mode.
struct Tester<'a> {
    backbone: &'a TrainedBackbone<'a>,
    extractor: FeatureExtractor,
    heads: Heads,
    data: &'a Arc<dyn Dataset>,
    labels: &'a [u32],
    classes: usize,
}

impl<'a> Tester<'a> {
    fn new(
        backbone: &'a TrainedBackbone<'a>,
        (data, labels): (&'a Arc<dyn Dataset>, &'a [u32]),
        classes: usize,
    ) -> Result<Tester<'a>> {
        let extractor = backbone.extractor()?;
        let config = HeadsConfig {
            dim: extractor.dim(),
            classes,
            batch: backbone.batch,
            heads: 1,
            optimizer: Optimizer::Sgd { momentum: 0.0 },
            weight_decay: 0.0,
        };
        let heads = Heads::new(&config, backbone.device)?;
        Ok(Tester { backbone, extractor, heads, data, labels, classes })
    }

    /// `tensors` end with the classifier's weight and bias.
    fn measure(&mut self, tensors: &[(String, Vec<f32>)]) -> Result<Tested> {
        let [.., (_, weight), (_, bias)] = tensors else { unreachable!("a classifier") };
        self.extractor.load(tensors)?;
        self.heads.set(0, weight, bias);
        let features = self.backbone.features(&mut self.extractor, self.data)?;
        let test = Labelled { features: &features, labels: self.labels };
        let sizes = (self.extractor.dim(), self.classes);
        let mut tested = tested(&mut self.heads, test, sizes, 1)?;
        Ok(tested.swap_remove(0))
    }
}
