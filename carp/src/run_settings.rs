//! The settings of a run: its checkpoint's, and until it has one, those of `config.toml`.

use std::io::ErrorKind;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kept_checkpoints::checkpoint_of;

/// What a resume may change, which `config.toml` does not follow.
const FREE: &str = "train.memory_budget";

/// The settings of the run in a folder, and a line if its files do not agree on them.
///
/// # Errors
/// Without a whole checkpoint: a `config.toml` that cannot be read or is invalid.
pub fn read(folder: &Path) -> Result<(Config, Option<String>)> {
    let last = checkpoint_of(folder);
    if !last.exists() {
        return Ok((written(folder)?, None));
    }
    match Checkpoint::load(&last) {
        Ok(checkpoint) => of(folder, &checkpoint),
        Err(error) => {
            let line = format!("{error}; the settings are those of config.toml");
            Ok((written(folder)?, Some(line)))
        }
    }
}

/// As [`read`], of a run with this checkpoint.
///
/// # Errors
/// Settings of the checkpoint that are missing or invalid.
pub fn of(folder: &Path, checkpoint: &Checkpoint) -> Result<(Config, Option<String>)> {
    let config = checkpoint.config()?;
    let line = match written(folder) {
        Ok(written) => {
            let keys = config.differing_keys(&written);
            let other = keys.into_iter().find(|key| key != FREE);
            other.map(|key| format!("{} has another {key}", folder.join("config.toml").display()))
        }
        Err(Error::File(files::Error::Io { source, .. }))
            if source.kind() == ErrorKind::NotFound =>
        {
            None
        }
        Err(error) => Some(error.to_string()),
    };
    Ok((config, line.map(|line| format!("{line}; the settings are those of the checkpoint"))))
}

/// Those of `config.toml`.
fn written(folder: &Path) -> Result<Config> {
    let file = folder.join("config.toml");
    let text = std::fs::read_to_string(&file).map_err(|source| Error::io(&file, source))?;
    Config::parse(&text, &file.display().to_string())
}
