//! The check of paths to runs and checkpoints.

use std::io::ErrorKind;
use std::path::Path;

use carp::error::{Error, Result};
use carp::kept_checkpoints::checkpoint_of;
use files::shown;

/// Fails if there is no folder of a run.
///
/// # Errors
/// As above: says what is there instead.
pub fn check_run_folder(path: &Path) -> Result<()> {
    if !is_folder(path, "no such run folder")? {
        return Err(wrong(path, "a file, should be a run folder"));
    }
    if !path.join("config.toml").exists() && !checkpoint_of(path).exists() {
        return Err(wrong(path, "no run folder: has neither config.toml nor a checkpoint"));
    }
    Ok(())
}

/// Fails if there is neither a file nor a run's folder with a checkpoint.
///
/// # Errors
/// As above: says what is there instead.
pub fn check_checkpoint(path: &Path) -> Result<()> {
    if is_folder(path, "no such run folder or file")? && !checkpoint_of(path).exists() {
        return Err(wrong(
            path,
            "has no checkpoint: no run folder, or of a run that saved none yet",
        ));
    }
    Ok(())
}

fn is_folder(path: &Path, missing: &str) -> Result<bool> {
    match path.metadata() {
        Ok(there) => Ok(there.is_dir()),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            Err(wrong(path, missing))
        }
        Err(error) => Err(Error::io(path, error)),
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::usage(format!("{}: {what}", shown(path)))
}
