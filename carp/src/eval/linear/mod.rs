//! The linear probe: a linear classifier on frozen features (spec, section 2).
//!
//! `logits = W f + b`, cross-entropy, LARS or SGD with momentum; several learning rates are trained
//! at once, each with a classifier of its own ([`Heads`]). After every epoch the test set is
//! classified. As in the authors' script the *best* epoch is what a classifier is reported with;
//! the last one stands beside it.

mod batches;
mod run;

use serde::Serialize;

pub use self::batches::{AugmentedBatches, Batches, FeatureBatch, StoredBatches};
pub use self::run::{linear_of_backbone, linear_of_features};
use crate::error::{Error, Result};
use crate::eval::accuracy::{Accuracy, Counter};
use crate::eval::heads::{Heads, HeadsConfig};
use crate::eval::knn::Labelled;
use crate::learner::Device;
use crate::schedule::EpochSchedule;
use crate::step::Optimizer;

/// Which optimizer trains a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeOptimizer {
    /// LARS with momentum as a heavy ball; 1-D tensors are neither scaled nor decayed.
    Lars,
    /// SGD with momentum; the bias decays as the weight does, as in PyTorch.
    Sgd,
}

/// The settings of a linear probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearSettings {
    /// lars or sgd.
    pub optimizer: ProbeOptimizer,
    /// Learning rates, one classifier each; not scaled by the batch.
    pub lr: Vec<f64>,
    /// Decay of the momentum buffer.
    pub momentum: f64,
    /// LARS's trust coefficient.
    pub trust: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How the learning rates move.
    pub schedule: EpochSchedule,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per update.
    pub batch_size: usize,
    /// Train on so many random images of each class; all if `None`.
    pub images_per_class: Option<usize>,
    /// Seed of the first weights, of the images per class, and of order and views.
    pub seed: u64,
}

impl LinearSettings {
    /// The authors' for ImageNet: LARS, lr 1.0, cosine, 100 epochs, 2048 images per update.
    pub fn imagenet() -> LinearSettings {
        LinearSettings {
            optimizer: ProbeOptimizer::Lars,
            lr: vec![1.0],
            momentum: 0.9,
            trust: 0.001,
            weight_decay: 0.0,
            schedule: EpochSchedule::Cosine,
            epochs: 100,
            batch_size: 2048,
            images_per_class: None,
            seed: 0,
        }
    }

    /// The authors' for iNaturalist 2018: SGD, lr 0.3, times 0.1 after 12 and 18 of 20 epochs, 256
    /// images per update.
    pub fn inat18() -> LinearSettings {
        LinearSettings {
            optimizer: ProbeOptimizer::Sgd,
            lr: vec![0.3],
            weight_decay: 1e-6,
            schedule: EpochSchedule::Multistep { milestones: vec![12, 18], factor: 0.1 },
            epochs: 20,
            batch_size: 256,
            ..LinearSettings::imagenet()
        }
    }

    fn check(&self) -> Result<()> {
        let fault = |line: String| Err(Error::Usage(line));
        if self.lr.is_empty() {
            return fault("no learning rate: give at least one".to_owned());
        }
        if let Some(lr) = self.lr.iter().find(|&&lr| !(lr > 0.0 && lr.is_finite())) {
            return fault(format!("learning rate {lr}: choose above 0"));
        }
        if self.epochs == 0 || self.batch_size == 0 {
            let LinearSettings { epochs, batch_size, .. } = self;
            return fault(format!("{epochs} epochs in batches of {batch_size}: at least 1 each"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return fault(format!("momentum {}: choose from 0 to below 1", self.momentum));
        }
        if !(self.trust > 0.0 && self.trust.is_finite()) {
            return fault(format!("trust coefficient {}: choose above 0", self.trust));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return fault(format!("weight decay {}: choose 0 or more", self.weight_decay));
        }
        Ok(())
    }
}

/// How a classifier did after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochResult {
    /// Epochs done.
    pub epoch: usize,
    /// Mean training loss in this epoch, in nats.
    pub loss: f64,
    /// On the test set.
    #[serde(flatten)]
    pub test: Accuracy,
}

/// The classifier of one learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadResult {
    /// The learning rate at first.
    pub lr: f64,
    /// The first epoch of the highest top-1 accuracy.
    pub best: EpochResult,
    /// The last epoch.
    pub last: EpochResult,
    /// All epochs.
    pub epochs: Vec<EpochResult>,
}

/// What a linear probe says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearResult {
    /// With which settings; a batch is never larger than the training set.
    pub settings: LinearSettings,
    /// Training images of an epoch.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Classes.
    pub classes: usize,
    /// Length of a feature vector.
    pub dim: usize,
    /// One for each learning rate, in the order given.
    pub heads: Vec<HeadResult>,
    /// Which of them has the highest best accuracy, the first on a tie.
    pub best_head: usize,
}

impl LinearResult {
    /// The classifier to report.
    pub fn best(&self) -> &HeadResult {
        &self.heads[self.best_head]
    }
}

/// What happens during the training of a classifier, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// An update is done.
    Step {
        /// Updates done.
        step: usize,
        /// Updates in all.
        steps: usize,
    },
    /// An epoch is done, with this result for each learning rate.
    Epoch(&'a [EpochResult]),
}

/// Errors unless classes and test images fit the training images: at least two classes among
/// those, and none that only test images have. Both label lists hold classes below `classes`.
///
/// # Errors
/// Names the first class that is not right.
pub fn check_classes(train: &[u32], test: &[u32], classes: usize) -> Result<()> {
    let mut trained = vec![false; classes];
    train.iter().for_each(|&label| trained[label as usize] = true);
    if trained.iter().filter(|&&trained| trained).count() < 2 {
        let count = train.len();
        return Err(Error::Usage(format!(
            "the {count} training images are of fewer than two classes: nothing to tell apart"
        )));
    }
    match test.iter().position(|&label| !trained.get(label as usize).copied().unwrap_or(false)) {
        None => Ok(()),
        Some(at) => Err(Error::Usage(format!(
            "class {} of test image {at} is that of no training image",
            test[at]
        ))),
    }
}

/// Trains and tests classifiers on `train`'s batches of features of length `dim`. The test set is
/// not empty and its labels are below `classes`: see [`check_classes`].
///
/// # Errors
/// Settings out of range, an image that cannot be read, or a loss that is not finite with every
/// learning rate.
pub fn linear(
    settings: &LinearSettings,
    train: &mut dyn Batches,
    test: Labelled,
    (dim, classes): (usize, usize),
    device: Device,
    show: &mut dyn FnMut(Event),
) -> Result<LinearResult> {
    settings.check()?;
    let rows = train.rows();
    let mut settings = settings.clone();
    settings.batch_size = settings.batch_size.min(rows);
    let LinearSettings { momentum, trust, weight_decay, epochs, batch_size, seed, .. } = settings;
    let mut heads = Heads::new(
        &HeadsConfig {
            dim,
            classes,
            batch: batch_size,
            heads: settings.lr.len(),
            optimizer: match settings.optimizer {
                ProbeOptimizer::Lars => {
                    Optimizer::Lars { momentum: momentum as f32, eta: trust as f32 }
                }
                ProbeOptimizer::Sgd => Optimizer::Sgd { momentum: momentum as f32 },
            },
            weight_decay: weight_decay as f32,
        },
        device,
    )?;
    heads.initialize(seed);

    let steps_per_epoch = rows.div_ceil(batch_size);
    let steps = epochs * steps_per_epoch;
    let mut history: Vec<Vec<EpochResult>> = vec![Vec::new(); settings.lr.len()];
    let mut batch = FeatureBatch::default();
    for epoch in 0..epochs {
        let rate = |&lr: &f64| settings.schedule.at(lr, epoch, epochs) as f32;
        let rates: Vec<f32> = settings.lr.iter().map(rate).collect();
        let mut losses = vec![0.0; rates.len()];
        for step in 1..=steps_per_epoch {
            train.next(batch_size, &mut batch)?;
            let share = batch.labels.len() as f64 / rows as f64;
            let batch_losses = heads.step(&batch.features, &batch.labels, &rates)?;
            for (loss, batch_loss) in losses.iter_mut().zip(batch_losses) {
                *loss += share * f64::from(batch_loss);
            }
            show(Event::Step { step: epoch * steps_per_epoch + step, steps });
        }
        if losses.iter().all(|loss| !loss.is_finite()) {
            let epoch = epoch + 1;
            return Err(Error::Usage(format!(
                "the loss is not finite in epoch {epoch} with learning rate {:?}: choose lower ones",
                settings.lr
            )));
        }
        let accuracies = accuracies(&mut heads, test, (dim, classes), settings.lr.len())?;
        let results: Vec<EpochResult> = losses
            .into_iter()
            .zip(accuracies)
            .map(|(loss, test)| EpochResult { epoch: epoch + 1, loss, test })
            .collect();
        show(Event::Epoch(&results));
        history.iter_mut().zip(results).for_each(|(epochs, result)| epochs.push(result));
    }

    let heads: Vec<HeadResult> =
        settings.lr.iter().zip(history).map(|(&lr, epochs)| head_result(lr, epochs)).collect();
    let best_head = first_of_most(heads.iter().map(|head| head.best.test.top1));
    let test_images = test.labels.len();
    Ok(LinearResult { settings, train_images: rows, test_images, classes, dim, heads, best_head })
}

fn head_result(lr: f64, epochs: Vec<EpochResult>) -> HeadResult {
    let last = *epochs.last().expect("at least one epoch");
    HeadResult { lr, best: best_epoch(&epochs), last, epochs }
}

/// The first epoch of the highest top-1 accuracy.
pub(crate) fn best_epoch(epochs: &[EpochResult]) -> EpochResult {
    epochs[first_of_most(epochs.iter().map(|epoch| epoch.test.top1))]
}

fn first_of_most(values: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

/// Test accuracy of each of the `count` heads.
pub(crate) fn accuracies(
    heads: &mut Heads,
    test: Labelled,
    (dim, classes): (usize, usize),
    count: usize,
) -> Result<Vec<Accuracy>> {
    /// Test images whose logits are held at once.
    const ROWS: usize = 4096;
    let mut counters = vec![Counter::default(); count];
    for (features, labels) in test.features.chunks(ROWS * dim).zip(test.labels.chunks(ROWS)) {
        let logits = heads.logits(features)?;
        for (logits, &label) in logits.chunks_exact(count * classes).zip(labels) {
            let by_head = logits.chunks_exact(classes).zip(&mut counters);
            by_head.for_each(|(logits, counter)| counter.add(logits, label));
        }
    }
    Ok(counters.iter().map(Counter::accuracy).collect())
}
