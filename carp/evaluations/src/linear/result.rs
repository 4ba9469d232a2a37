//! Progress and results of training a classifier.

use datasets::Progress;
use serde::Serialize;

use super::settings::LinearSettings;
use crate::accuracy::Accuracy;
use crate::confusion::{Confusion, as_classes};

/// A classifier's result after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochResult {
    /// Epochs done.
    pub epoch: usize,
    /// Mean training loss in this epoch, in nats.
    pub loss: f64,
    /// Test accuracy.
    #[serde(flatten)]
    pub test: Accuracy,
}

/// The classifier for one learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadResult {
    /// The initial learning rate.
    pub lr: f64,
    /// The first epoch with the highest top-1 accuracy.
    pub best: EpochResult,
    /// The last epoch.
    pub last: EpochResult,
    /// All epochs.
    pub epochs: Vec<EpochResult>,
}

/// The result of a linear probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearResult {
    /// The settings; the batch is at most the training set.
    pub settings: LinearSettings,
    /// Training images per epoch.
    pub train_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Classes.
    pub classes: usize,
    /// Length of a feature vector.
    pub dim: usize,
    /// One per learning rate, in the given order.
    pub heads: Vec<HeadResult>,
    /// Index of the one with the highest best accuracy, the first on a tie.
    pub best_head: usize,
    /// Labels of test images that no training image has: these count as wrong.
    pub untrained: Vec<u32>,
    /// True classes against its predictions in its best epoch; `per_class` in JSON.
    #[serde(rename = "per_class", serialize_with = "as_classes")]
    pub confusion: Confusion,
}

impl LinearResult {
    /// The classifier to report.
    pub fn best(&self) -> &HeadResult {
        &self.heads[self.best_head]
    }
}

/// Progress events of training a classifier.
#[derive(Debug)]
pub enum ClassifierEvent<'a> {
    /// An update is done.
    Step {
        /// Updates done.
        step: usize,
        /// Total updates.
        steps: usize,
    },
    /// An epoch is done, with a result per learning rate.
    Epoch(&'a [EpochResult]),
}

impl ClassifierEvent<'_> {
    /// Reports the updates that are done.
    pub fn report(&self, progress: Progress) {
        if let ClassifierEvent::Step { step, steps } = *self {
            progress.report(step, steps);
        }
    }
}
