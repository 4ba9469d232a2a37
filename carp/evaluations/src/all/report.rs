//! What was measured, and what was skipped.

use serde::Serialize;
use serde_json::Value;

use super::protocol::Protocol;
use super::settings::AllSettings;

/// A named number: a table cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Such as "top-1, k = 20".
    pub name: String,
    /// In %; clustering scores times 100.
    pub value: f64,
    /// Standard deviation over draws, if there are several.
    pub sd: Option<f64>,
}

impl Score {
    /// From a fraction.
    pub fn percent(name: impl Into<String>, fraction: f64) -> Score {
        Score { name: name.into(), value: 100.0 * fraction, sd: None }
    }
}

/// The result of one protocol for one network on one data set.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Name of the data set.
    pub data: String,
    /// teacher, student, untrained or pixels.
    pub network: &'static str,
    /// Which evaluation.
    pub protocol: Protocol,
    /// The splits and how their images were preprocessed.
    pub images: String,
    /// The settings that matter, in one line.
    pub settings: String,
    /// The headline numbers.
    pub scores: Vec<Score>,
    /// Seconds taken, without feature extraction.
    pub seconds: f64,
    /// The full result with all settings.
    pub result: Value,
}

impl Entry {
    /// Settings and images in one line.
    pub fn line(&self) -> String {
        format!("{}; {}", self.settings, self.images)
    }
}

/// Something that was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Name of the data set.
    pub data: String,
    /// The network, if specific to one.
    pub network: Option<&'static str>,
    /// The protocol, if specific to one.
    pub protocol: Option<Protocol>,
    /// The reason, in one line.
    pub why: String,
    /// True for an error, false for missing data.
    pub is_fault: bool,
}

/// All measurements of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReport {
    /// The checkpoint's file.
    pub checkpoint: String,
    /// The settings.
    pub settings: AllSettings,
    /// In order of measurement.
    pub entries: Vec<Entry>,
    /// What was skipped, and why.
    pub skipped: Vec<Skipped>,
}

/// A result as JSON, with numbers as short as their types allow: 0.07, not 0.07000000029802322.
pub fn json_value(result: &impl Serialize) -> Value {
    let text = serde_json::to_string(result).expect("plain numbers and names");
    serde_json::from_str(&text).expect("just written")
}

/// The result of a protocol, or of those of its parts that succeeded.
pub struct Measured {
    /// The settings that matter, in one line.
    pub settings: String,
    /// The headline numbers.
    pub scores: Vec<Score>,
    /// The full result with all settings.
    pub result: Value,
    /// Why the other parts failed, each in one line.
    pub faults: Vec<String>,
}
