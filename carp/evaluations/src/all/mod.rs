//! All evaluations of a network at once: what runs is told by the data that is there, what comes
//! out is `results.json` and a table in Markdown, the paper's own numbers beside.

mod headlines;
mod own_data;
mod paper;
mod paper_sets;
mod protocol;
mod recorder;
mod report;
mod settings;
mod table;

pub use self::own_data::evaluate_own;
pub use self::paper_sets::{box_of, evaluate_paper_sets};
pub use self::protocol::Protocol;
pub use self::recorder::{EvaluationEvent, Recorder};
pub use self::report::{Entry, EvaluationReport, Score, Skipped};
pub use self::settings::{AllSettings, Look};
pub use self::table::markdown;
