//! The lines of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use crate::diversity::Diversity;

/// One line of `metrics.jsonl` per step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps done.
    pub step: usize,
    /// Epochs done, as a fraction.
    pub epoch: f64,
    /// The loss of the micro-batch; CARP's is C + H, in nats, or C alone (`model.entropy_term`).
    pub loss: f32,
    /// CARP's C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<f32>,
    /// CARP's H.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f32>,
    /// Learning rate.
    pub lr: f64,
    /// m of the teacher's moving average.
    pub teacher_momentum: f64,
    /// Images of the micro-batch over the time of the step.
    pub images_per_second: f64,
    /// Share of the step's time spent waiting for its views.
    pub waiting: f64,
    /// CARP's C + H over ln N_B: 1 if pinned there (docs/method.md, 1.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_loss: Option<f32>,
    /// Now and then, how varied prototypes and features are.
    #[serde(flatten)]
    pub diversity: Option<Diversity>,
    /// With `train.digest`: see [`step_digest`](crate::step_digest::step_digest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A line of `metrics.jsonl` for a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnnLine {
    /// Steps done.
    pub step: usize,
    /// Fraction of queries classified correctly.
    pub knn: f64,
}
