//! The computations recorded from PyTorch.

use std::path::{Path, PathBuf};

/// Their files below the folder of the repository, in the order of their names.
pub fn fixtures(repository: &Path) -> Vec<PathBuf> {
    let folder = repository.join("fixtures/audit");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .collect();
    files.sort();
    files
}
