//! All that a page tells of one run.

use std::io::ErrorKind;
use std::path::Path;

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::run_settings;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::columns::Metrics;
use crate::data_uri::data_uri;
use crate::first_views::first_views;
use crate::network_view::NetworkView;
use crate::step_view::StepView;

/// How much of a run to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The files of its folder but the weights: quick.
    Files,
    /// Also what its network makes of the data set's pictures.
    Network,
}

/// A run, as the page gets it.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its folder.
    name: String,
    /// Its method's name.
    method: &'static str,
    /// As TOML.
    settings: String,
    /// ln N_B, where a collapsed run's loss is (docs/method.md, 1.5); none without blocks.
    collapse: Option<f64>,
    metrics: Metrics,
    /// `result.json` as it is, once the run has ended.
    result: Option<Box<RawValue>>,
    /// The picture of neighbours before and after.
    neighbours: Option<String>,
    step: StepView,
    /// The views of a few pictures in the first step.
    views: Option<String>,
    network: Option<NetworkView>,
    /// What could not be shown, and why, in lines.
    missing: Vec<String>,
}

impl Run {
    /// Reads the folder of a run, finished or not, with at most about `most` steps. Data or weights
    /// that are not at hand are missing in it, not an error.
    ///
    /// # Errors
    /// A folder that is no run's; settings that this program does not know.
    pub fn read(folder: &Path, most: usize, depth: Depth, device: Device) -> Result<Run> {
        let (config, warning) = run_settings::read(folder)?;
        let metrics = Metrics::parse(&text(&folder.join("metrics.jsonl"))?, most);
        let file = folder.join("result.json");
        let read_result = |text: String| {
            serde_json::from_str(&text).map_err(|error| Error::data(&file, error.to_string()))
        };
        let result = if_there(&file, text(&file))?.map(read_result).transpose()?;
        let file = folder.join("neighbours.png");
        let neighbours = std::fs::read(&file).map_err(|source| Error::io(&file, source));
        let neighbours = if_there(&file, neighbours)?.map(|png| data_uri("image/png", &png));
        let has_terms = metrics.steps.0.contains_key("entropy");
        let block = config.model.partition_size as f64;
        let mut run = Run {
            name: folder.display().to_string(),
            method: config.method.name(),
            settings: config.to_toml(),
            collapse: (has_terms && block > 1.0).then(|| block.ln()),
            metrics,
            result,
            neighbours,
            step: StepView::planned(&config, device)?,
            views: None,
            network: None,
            missing: warning.into_iter().collect(),
        };
        if depth == Depth::Network {
            match config.data.open(config.seed) {
                Ok(splits) => {
                    run.views = run.or_missing("views", first_views(&config, &splits));
                    let network = NetworkView::of(folder, &config, &splits, device);
                    run.network = run.or_missing("what the network makes of pictures", network);
                }
                Err(error) => run.missing.push(format!("pictures: {error}")),
            }
        }
        Ok(run)
    }

    fn or_missing<T>(&mut self, what: &str, shown: Result<T>) -> Option<T> {
        let missing = |error| self.missing.push(format!("{what}: {error}"));
        shown.map_err(missing).ok()
    }
}

fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|source| Error::io(file, source))
}

/// What was read, or none if there is no such file.
fn if_there<T>(file: &Path, read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Error::File(files::Error::Io { source, .. }))
            if source.kind() == ErrorKind::NotFound && !file.exists() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
