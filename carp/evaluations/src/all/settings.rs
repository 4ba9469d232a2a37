//! Which evaluations to run, and how each.

use std::path::PathBuf;

use carp::views::EvalTransform;
use datasets::Filter;
use serde::Serialize;

use super::protocol::Protocol;
use crate::copy_detection::CopyDetectionOptions;
use crate::few_shot::FewShotOptions;
use crate::knn::KnnOptions;
use crate::linear::LinearSettings;

/// What to run and how.
#[derive(Clone, Debug, Serialize)]
pub struct AllSettings {
    /// Which protocols, where the data fits them.
    pub protocols: Vec<Protocol>,
    /// Of k-NN.
    pub knn: KnnOptions,
    /// Of the linear probe.
    pub linear: LinearSettings,
    /// Share of the area in the linear probe's random crops; without it every image is seen once.
    pub crop_scale: Option<(f32, f32)>,
    /// Of the SVMs.
    pub few_shot: FewShotOptions,
    /// SVMs on all images only where the training set has at most so many.
    pub full_up_to: usize,
    /// Shares of the labels for fine-tuning.
    pub semi_shares: Vec<f64>,
    /// Passes over those images.
    pub semi_epochs: usize,
    /// Share of ImageNet's training images that are clustered.
    pub imagenet_clustered: f64,
    /// Longest side of an image in retrieval, in pixels.
    pub fit: usize,
    /// Crop the queries of retrieval to their boxes: the benchmark's way, not the authors'.
    pub query_boxes: bool,
    /// Side that images are stretched to in copy detection, in pixels.
    pub copy_side: usize,
    /// Of each ranking in copy detection, what counts; 0 is all of it.
    pub copy_top: usize,
    /// A folder of further images for copy detection's database.
    pub distractors: Option<PathBuf>,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// How the networks look at images.
#[derive(Clone, Debug)]
pub struct Look {
    /// With bicubic resizing.
    pub transform: EvalTransform,
    /// Resize for every protocol alike; else some do bilinearly, as the authors' scripts do.
    pub fixed: bool,
}

impl Look {
    /// The one for protocols that resize with `filter` in the authors' scripts.
    pub(super) fn transform(&self, filter: Filter) -> EvalTransform {
        let filter = if self.fixed { self.transform.filter } else { filter };
        EvalTransform { filter, ..self.transform.clone() }
    }
}

impl Default for AllSettings {
    /// The authors' scripts, and for fine-tuning SwAV's.
    fn default() -> AllSettings {
        AllSettings {
            protocols: Protocol::ALL.to_vec(),
            knn: KnnOptions::default(),
            linear: LinearSettings::imagenet(),
            crop_scale: Some((0.08, 1.0)),
            few_shot: FewShotOptions::default(),
            full_up_to: 10_000,
            semi_shares: vec![0.01, 0.1],
            semi_epochs: 20,
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
