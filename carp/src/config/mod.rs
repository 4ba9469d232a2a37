//! Settings of a run: the authors' defaults, overridden by a preset, then by individual keys.
//!
//! Presets are TOML files; a preset names only what differs from the authors' defaults. `presets`
//! embeds them, `settings` holds the settings, `keys` puts keys and values into a table, `passes`
//! reads fusion passes, `ranges` defines the allowed values, `load` does all this in turn.

mod keys;
pub mod limits;
mod load;
mod passes;
mod presets;
mod ranges;
mod settings;

pub use self::settings::{
    Config, KnnConfig, ModelConfig, OptimizerConfig, OptimizerName, TeacherConfig, TrainConfig,
};
