//! Which evaluations to run, and how.

use std::path::PathBuf;

use carp::error::Result;
use serde::Serialize;

use super::protocol::Protocol;
use crate::copy_detection::CopyDetectionOptions;
use crate::few_shot::FewShotOptions;
use crate::knn::KnnOptions;
use crate::linear::LinearSettings;
use crate::semi::SemiSettings;
use crate::trained::CROP_SCALE;

/// What to run and how.
#[derive(Clone, Debug, Serialize)]
pub struct AllSettings {
    /// Protocols to run, if the data allows.
    pub protocols: Vec<Protocol>,
    /// k-NN.
    pub knn: KnnOptions,
    /// The linear probe.
    pub linear: LinearSettings,
    /// The linear probe on iNaturalist 2018.
    pub inat18: LinearSettings,
    /// Area fractions of the linear probe's random crops; `None` uses fixed features.
    pub crop_scale: Option<(f32, f32)>,
    /// The SVMs.
    pub few_shot: FewShotOptions,
    /// Largest training set for full-data SVMs.
    pub full_up_to: usize,
    /// Fractions of the labels for fine-tuning.
    pub semi_shares: Vec<f64>,
    /// Epochs of fine-tuning.
    pub semi_epochs: usize,
    /// Fraction of ImageNet's training images to cluster.
    pub imagenet_clustered: f64,
    /// Longest side of an image in retrieval, in pixels.
    pub fit: usize,
    /// Crop retrieval queries to their boxes, as the benchmark does and the authors do not.
    pub query_boxes: bool,
    /// Side of the squares that images are stretched to in copy detection, in pixels.
    pub copy_side: usize,
    /// How much of each copy-detection ranking counts; 0 means all.
    pub copy_top: usize,
    /// Folder of distractor images for copy detection.
    pub distractors: Option<PathBuf>,
    /// Random seed.
    pub seed: u64,
}

impl AllSettings {
    /// Fails unless every setting is in range: to know before the work.
    ///
    /// # Errors
    /// As above.
    pub fn check(&self) -> Result<()> {
        self.linear.check()?;
        self.inat18.check()?;
        self.few_shot.check()?;
        self.semi_shares.iter().try_for_each(|&share| self.semi(share).check())
    }

    /// The settings of fine-tuning on a fraction of the labels: SwAV's.
    pub fn semi(&self, share: f64) -> SemiSettings {
        let (epochs, seed) = (self.semi_epochs, self.seed);
        SemiSettings { epochs, seed, ..SemiSettings::swav(share) }
    }
}

impl Default for AllSettings {
    /// The authors' scripts; for fine-tuning SwAV's.
    fn default() -> AllSettings {
        AllSettings {
            protocols: Protocol::ALL.to_vec(),
            knn: KnnOptions::default(),
            linear: LinearSettings::imagenet(),
            inat18: LinearSettings::inat18(),
            crop_scale: Some(CROP_SCALE),
            few_shot: FewShotOptions::default(),
            full_up_to: 10_000,
            semi_shares: vec![0.01, 0.1],
            semi_epochs: SemiSettings::swav(0.1).epochs,
            imagenet_clustered: 0.1,
            fit: 512,
            query_boxes: false,
            copy_side: 320,
            copy_top: CopyDetectionOptions::default().top,
            distractors: None,
            seed: 0,
        }
    }
}
