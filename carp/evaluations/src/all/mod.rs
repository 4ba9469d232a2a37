//! All evaluations of a network: the available data decides what runs; the output is `results.json`
//! and a Markdown table, with the authors' published numbers.

mod headlines;
mod look;
mod measure;
mod own_data;
mod paper;
mod paper_sets;
mod protocol;
mod recorder;
mod report;
mod settings;
mod table;

pub use self::look::Look;
pub use self::own_data::evaluate_own;
pub use self::paper_sets::evaluate_paper_sets;
pub use self::protocol::Protocol;
pub use self::recorder::{EvaluationEvent, Recorder};
pub use self::report::{Entry, EvaluationReport, Score, Skipped, json_value};
pub use self::settings::AllSettings;
pub use self::table::markdown;
