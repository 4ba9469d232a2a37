//! What was measured, and what was not.

use serde::Serialize;
use serde_json::Value;

use super::protocol::Protocol;
use super::settings::AllSettings;

/// A number with its name: what a cell of a table holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Such as "top-1, k = 20".
    pub name: String,
    /// In per cent, or for clustering's scores times 100.
    pub value: f64,
    /// Standard deviation over draws, where there are several.
    pub sd: Option<f64>,
}

impl Score {
    /// Of a fraction.
    pub fn percent(name: impl Into<String>, fraction: f64) -> Score {
        Score { name: name.into(), value: 100.0 * fraction, sd: None }
    }
}

/// What one protocol said of one network on one data set.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Name of the data set.
    pub data: String,
    /// teacher, student, untrained or pixels.
    pub network: &'static str,
    /// Which evaluation.
    pub protocol: Protocol,
    /// The settings that matter, in one line.
    pub settings: String,
    /// The headline numbers.
    pub scores: Vec<Score>,
    /// Seconds that it took, features not included.
    pub seconds: f64,
    /// Everything, with every setting.
    pub result: Value,
}

/// What was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Name of the data set.
    pub data: String,
    /// Which network, where it is about one.
    pub network: Option<&'static str>,
    /// Which evaluation, where it is about one.
    pub protocol: Option<Protocol>,
    /// In one line.
    pub why: String,
    /// True where something is wrong, not just not there.
    pub is_fault: bool,
}

/// All that was measured of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReport {
    /// The checkpoint's file.
    pub checkpoint: String,
    /// The settings.
    pub settings: AllSettings,
    /// In the order of measuring.
    pub entries: Vec<Entry>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

/// What a protocol says.
pub struct Measured {
    /// The settings that matter, in one line.
    pub settings: String,
    /// The headline numbers.
    pub scores: Vec<Score>,
    /// Everything, with every setting.
    pub result: Value,
}
