//! What a finished run reports.

use serde::{Deserialize, Serialize};

/// `result.json`. Accuracies are fractions, `None` if the data has no labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// k-NN accuracy of the untrained network.
    pub knn_before: Option<f64>,
    /// k-NN accuracy of the trained teacher.
    pub knn_after: Option<f64>,
    /// k-NN accuracy of raw pixels.
    pub knn_pixels: Option<f64>,
    /// SHA-256 of the student's and teacher's tensors, without optimizer state.
    pub weights_sha256: String,
    /// Micro-batches.
    pub steps: usize,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// Images per second of training.
    pub images_per_second: f64,
    /// Bytes of the step's arena, known before it runs.
    pub planned_peak_bytes: usize,
    /// Peak resident memory of the process, as the system counts it.
    pub peak_rss_bytes: u64,
}

/// Peak resident memory of this process in bytes; 0 if the system does not report it.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
