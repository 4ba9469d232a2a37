//! Settings of a run: the paper's by default, changed by a preset, changed by single keys.
//!
//! Presets are TOML files; a preset names only what differs from the paper's settings. `settings`
//! holds them, `keys` puts keys and values into a table, `passes` reads passes of fusion, `ranges` says which values are allowed,
//! `load` does one after the other.

mod keys;
mod load;
mod passes;
mod ranges;
mod settings;

pub use self::settings::{
    Config, KnnConfig, ModelConfig, OptimizerConfig, OptimizerName, TeacherConfig, TrainConfig,
};
