//! The page: one file that needs no other.

use std::path::PathBuf;

use carp::error::{Error, Result};
use carp::learner::Device;

use crate::run::{Depth, Run};

/// Most steps in a page, of all its runs: some 1.5 MB. The charts of a longer run keep its extremes.
const STEPS: usize = 10_000;

const SKELETON: &str = include_str!("../assets/report.html");
/// What the skeleton has room for. Charts are drawn by uPlot 1.6.32 (`npm pack uplot@1.6.32`).
const PARTS: [(&str, &str); 5] = [
    ("/*uPlot.licence*/", include_str!("../assets/uplot/LICENSE")),
    ("/*uPlot.css*/", include_str!("../assets/uplot/uPlot.min.css")),
    ("/*report.css*/", include_str!("../assets/report.css")),
    ("/*uPlot.js*/", include_str!("../assets/uplot/uPlot.iife.min.js")),
    ("/*report.js*/", include_str!("../assets/report.js")),
];
const DATA: &str = "/*data*/";

/// A page about runs, side by side. Their data are in it as JSON, in the element with the id `data`.
///
/// # Errors
/// No runs; a folder that is no run's.
pub fn page(folders: &[PathBuf], depth: Depth, device: Device) -> Result<String> {
    if folders.is_empty() {
        return Err(Error::usage("a report of no runs: name at least one run folder".to_owned()));
    }
    let most = STEPS / folders.len();
    let runs: Vec<Run> = folders
        .iter()
        .map(|folder| Run::read(folder, most, depth, device))
        .collect::<Result<_>>()?;
    let json = serde_json::to_string(&runs).expect("plain data");
    // Nothing in the data may end its element.
    let json = json.replace('<', "\\u003c");
    let page =
        PARTS.iter().fold(SKELETON.to_owned(), |page, (name, part)| page.replace(name, part));
    Ok(page.replace(DATA, &json))
}
