//! Settings of linear classification with a few images per class.

use carp::error::{Error, Result};
use serde::Serialize;

use crate::average_precision::Interpolation;
use crate::linear_svm::SvmOptions;

/// Meaning of label 0 in `[N,C]`: PASCAL VOC's difficult objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difficult {
    /// The class is absent, as in the authors' script.
    Negative,
    /// The image is ignored for this class, in training and test, as in the devkit.
    Ignored,
}

/// Settings; the default is the authors' script.
#[derive(Clone, Debug, Serialize)]
pub struct FewShotOptions {
    /// Costs C; the one with the best mean average precision is reported.
    pub costs: Vec<f64>,
    /// Positive images per class.
    pub shots: Vec<usize>,
    /// Draws for each number of shots.
    pub draws: usize,
    /// Also train on all images.
    pub full: bool,
    /// Meaning of label 0.
    pub difficult: Difficult,
    /// Interpolation of average precision.
    pub interpolation: Interpolation,
    /// Settings of each SVM.
    #[serde(flatten)]
    pub svm: SvmOptions,
    /// Seed of draws and sweeps.
    pub seed: u64,
}

impl Default for FewShotOptions {
    fn default() -> FewShotOptions {
        FewShotOptions {
            costs: vec![0.5],
            shots: vec![1, 2, 4, 8, 16],
            draws: 5,
            full: true,
            difficult: Difficult::Negative,
            interpolation: Interpolation::AllPoints,
            svm: SvmOptions::default(),
            seed: 0,
        }
    }
}

impl FewShotOptions {
    /// Fails unless every setting is in range.
    ///
    /// # Errors
    /// As above.
    pub fn check(&self) -> Result<()> {
        self.svm.check()?;
        let wrong = if self.costs.is_empty() || self.costs.iter().any(|c| c.is_nan() || *c <= 0.0) {
            "costs C should be above 0"
        } else if self.shots.contains(&0) {
            "0 images per class: choose at least 1"
        } else if self.draws == 0 && !self.shots.is_empty() {
            "0 draws: choose at least 1"
        } else if self.shots.is_empty() && !self.full {
            "nothing to train: give shots or all images"
        } else {
            return Ok(());
        };
        Err(Error::usage(format!("few-shot: {wrong}")))
    }
}
