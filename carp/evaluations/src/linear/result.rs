//! What training a classifier says, meanwhile and at last.

use serde::Serialize;

use super::settings::LinearSettings;
use crate::accuracy::Accuracy;

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
pub enum ClassifierEvent<'a> {
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
