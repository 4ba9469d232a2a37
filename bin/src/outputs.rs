//! The check of a command's output files before its work.

use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use carp::kept_checkpoints::previous;
use files::{check_output, replaced_file, shown};

/// The files of a run's folder that other commands read; the checkpoint before the last is one more.
const OF_A_RUN: [&str; 4] =
    ["checkpoint.safetensors", "config.toml", "metrics.jsonl", "result.json"];

/// Fails if one of the outputs cannot be written, or would replace another or an input; of an input
/// that is a run's folder, one of the run's files.
///
/// # Errors
/// As above: names the output.
pub fn check_outputs<'a>(
    outputs: impl IntoIterator<Item = &'a PathBuf>,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<()> {
    let inputs = inputs
        .into_iter()
        .flat_map(|path| if path.is_dir() { of_run(path) } else { vec![path.clone()] });
    let inputs: Vec<PathBuf> = inputs.filter_map(|path| end_of_links(&path).ok()).collect();
    let mut earlier = Vec::new();
    for path in outputs {
        check_output(path)?;
        let file = end_of_links(path)?;
        let refuse = |detail| Err(Error::usage(format!("{}: {detail}", shown(path))));
        if inputs.contains(&file) {
            return refuse("an input cannot be the output; choose another file");
        }
        if earlier.contains(&file) {
            return refuse("two outputs cannot go to one file");
        }
        earlier.push(file);
    }
    Ok(())
}

fn of_run(folder: &Path) -> Vec<PathBuf> {
    let named = OF_A_RUN.map(|name| folder.join(name));
    named.into_iter().chain(previous(folder).ok().flatten()).collect()
}

/// Where a path leads, whether a file is there yet or not; a device or pipe is itself.
fn end_of_links(path: &Path) -> Result<PathBuf> {
    let Some(file) = replaced_file(path)? else { return Ok(path.to_owned()) };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    let folder = folder.map_err(|source| Error::io(path, source))?;
    Ok(folder.join(file.file_name().unwrap_or_default()))
}
