//! The paper's data sets on tiny trees in their official layouts, whole and broken.

mod faults;
mod layouts;
mod mat;
mod trees;

use std::path::Path;

use datasets::catalogue::{Contents, DataSet, of_name};
use datasets::{DataConfig, Dataset, Reading};
use files::Result;

/// The configuration for a data set in a folder.
fn config(set: &DataSet, folder: &Path) -> DataConfig {
    DataConfig { kind: set.kind, path: Some(folder.to_owned()), ..DataConfig::default() }
}

fn contents(name: &str, folder: &Path) -> Result<Contents> {
    let set = of_name(name)?;
    set.contents(&config(set, folder))
}

/// A split as a data set that fails on unreadable images.
fn open(contents: &Contents, split: &str) -> std::sync::Arc<dyn Dataset> {
    contents.dataset(split, Reading { strict: true, cache: 0 }).unwrap()
}

/// File names and labels of a split.
fn labelled(contents: &Contents, split: &str) -> Vec<(String, u32)> {
    let data = open(contents, split);
    let image = |index| {
        let file = data.file(index).unwrap().file_name().unwrap().to_string_lossy().into_owned();
        (file, data.label(index).unwrap())
    };
    (0..data.len()).map(image).collect()
}

/// Asserts a one-line error with all `parts`.
fn fails<T>(result: Result<T>, parts: &[&str]) {
    let error = result.err().unwrap_or_else(|| panic!("should be refused: {parts:?}")).to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}
