//! Where the features of a protocol come from, and where its numbers go.

use std::path::{Path, PathBuf};

use carp::checkpoint::{Checkpoint, write_atomically};
use carp::error::{Error, Result};
use carp::eval::feature_set::{FeatureSet, Labels};
use carp::evaluation::Evaluation;
use carp::learner::{Learner, cpu};
use carp::run_folder::checkpoint_path;
use clap::Args;
use serde_json::Value;

/// A checkpoint, or files of features that any program made.
#[derive(Args)]
pub struct FeatureSource {
    /// A run folder or a checkpoint file, whose teacher's features of the run's data are taken.
    #[arg(conflicts_with_all = ["features", "test_features"])]
    pub checkpoint: Option<PathBuf>,
    /// Another folder with the data than the run had.
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    data: Option<PathBuf>,
    /// Training features: a safetensors file with `features` [N,D] f32 and `labels` [N] or [N,C].
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Test features, likewise.
    #[arg(long, value_name = "FILE")]
    test_features: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// What all protocols share.
#[derive(Args)]
pub struct Output {
    /// Write settings and numbers as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Threads; 0 is one per core.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
}

impl Output {
    /// Writes the JSON file, if one is wanted.
    pub fn save(&self, protocol: &str, mut result: Value) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        result["protocol"] = protocol.into();
        let text = serde_json::to_string_pretty(&result).expect("plain numbers and names");
        write_atomically(path, (text + "\n").as_bytes())
    }
}

impl FeatureSource {
    /// Training and test features.
    pub fn pair(&self) -> Result<(FeatureSet, FeatureSet)> {
        if let Some(checkpoint) = &self.checkpoint {
            return extract(checkpoint, self.data.as_deref());
        }
        let train = self.train()?;
        let test = wanted(&self.test_features, "--test-features", "the test features")?;
        Ok((FeatureSet::load(train)?, FeatureSet::load(test)?))
    }

    /// Training features, and test features if there are any.
    pub fn train_and_maybe_test(&self) -> Result<(FeatureSet, Option<FeatureSet>)> {
        if self.checkpoint.is_some() {
            let (train, test) = self.pair()?;
            return Ok((train, Some(test)));
        }
        let test = self.test_features.as_deref().map(FeatureSet::load).transpose()?;
        Ok((FeatureSet::load(self.train()?)?, test))
    }

    fn train(&self) -> Result<&Path> {
        wanted(&self.features, "--features", "the training features, or a checkpoint")
    }
}

/// A file that cannot be done without.
pub fn wanted<'a>(file: &'a Option<PathBuf>, flag: &str, what: &str) -> Result<&'a Path> {
    let line = || Error::Usage(format!("{flag} FILE is missing: give {what}"));
    file.as_deref().ok_or_else(line)
}

/// The teacher's features of the run's training and test data.
fn extract(path: &Path, data: Option<&Path>) -> Result<(FeatureSet, FeatureSet)> {
    let path = if path.is_dir() { checkpoint_path(path) } else { path.to_owned() };
    let checkpoint = Checkpoint::load(&path)?;
    let mut config = checkpoint.config()?;
    if let Some(data) = data {
        config.data.path = Some(data.to_owned());
    }
    let splits = config.data.open(config.seed)?;
    let Some(mut evaluation) = Evaluation::new(&config, &splits, cpu)? else {
        let name = splits.pretrain.name();
        return Err(Error::Usage(format!("{name} has no labels to evaluate with")));
    };
    let mut learner = Learner::new(&config.step(), cpu)?;
    learner.restore(|name| checkpoint.tensor(name))?;
    let quality = evaluation.measure(&learner.teacher_backbone())?;
    let (train, test) = evaluation.labels();
    let set = |features, labels| FeatureSet {
        features,
        dim: quality.dim,
        labels: Labels::Single(labels),
    };
    Ok((set(quality.bank, train), set(quality.queries, test)))
}
