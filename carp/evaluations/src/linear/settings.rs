//! The settings of a linear probe.

use carp::error::{Error, Result};
use carp::schedule::EpochSchedule;
use serde::Serialize;

/// The optimizer of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeOptimizer {
    /// LARS with momentum as a heavy ball; 1-D tensors are neither scaled nor decayed.
    Lars,
    /// SGD with momentum; the bias decays like the weight, as in PyTorch.
    Sgd,
}

/// The settings of a linear probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearSettings {
    /// lars or sgd.
    pub optimizer: ProbeOptimizer,
    /// Learning rates, one classifier each; not scaled by batch size.
    pub lr: Vec<f64>,
    /// Momentum.
    pub momentum: f64,
    /// LARS's trust coefficient.
    pub trust: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Learning-rate schedule.
    pub schedule: EpochSchedule,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per update.
    pub batch_size: usize,
    /// Train on this many random images per class; `None` means all.
    pub images_per_class: Option<usize>,
    /// Seed of initial weights, image selection, order and views.
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

    /// For data sets that give ImageNet's settings too few updates: SGD, three learning rates, 30
    /// epochs of 256 images per update.
    pub fn small() -> LinearSettings {
        LinearSettings {
            optimizer: ProbeOptimizer::Sgd,
            lr: vec![0.1, 0.3, 1.0],
            epochs: 30,
            batch_size: 256,
            ..LinearSettings::imagenet()
        }
    }

    /// Fails unless every number is in range.
    ///
    /// # Errors
    /// As above.
    pub fn check(&self) -> Result<()> {
        let fault = |line: String| Err(Error::usage(line));
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
        self.schedule.check()
    }
}
