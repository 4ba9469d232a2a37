//! Where a protocol's features come from, and where its results go.

use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use clap::Args;
use evaluations::features::FeatureSet;
use evaluations::network_file::{NetworkFile, NetworkName};
use files::{check_output, write_atomically};
use serde_json::Value;

use crate::data_args::DataArgs;
use crate::device::DeviceArgs;
use crate::features::{network_option, tell};
use crate::image_bar::ImageBar;
use crate::network_args::{NetworkArgs, network_name};

/// A checkpoint, or feature files made by any program.
#[derive(Args)]
pub struct FeatureSource {
    /// Run folder, checkpoint or third-party weights to extract features with.
    #[arg(conflicts_with_all = ["features", "test_features"])]
    pub checkpoint: Option<PathBuf>,
    /// Which network in it; `pixels` uses raw pixels as features.
    #[arg(long, value_name = "NAME", default_value = "teacher", value_parser = network_name())]
    network: NetworkName,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Training features: safetensors with `features` `[N,D]` f32 and `labels` `[N]` or `[N,C]`.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Test features, in the same format.
    #[arg(long, value_name = "FILE")]
    test_features: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

/// What all protocols share.
#[derive(Args)]
pub struct Output {
    /// Also write settings and results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
}

impl Output {
    /// Fails if the JSON file cannot be written: to know before the work.
    pub fn check(&self) -> Result<()> {
        Ok(self.json.as_deref().map_or(Ok(()), check_output)?)
    }

    /// Writes the JSON file, if one was requested.
    pub fn save(&self, protocol: &str, mut result: Value) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        result["protocol"] = protocol.into();
        let text = serde_json::to_string_pretty(&result).expect("plain numbers and names");
        Ok(write_atomically(path, (text + "\n").as_bytes())?)
    }
}

impl FeatureSource {
    /// Training and test features.
    pub fn pair(&self) -> Result<(FeatureSet, FeatureSet)> {
        if let Some(checkpoint) = &self.checkpoint {
            let source = NetworkArgs::new(checkpoint, self.network, self.device).open()?;
            tell(&source, self.network, network_option)?;
            return self.extract(source);
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

    /// The network's features of training and test data.
    fn extract(&self, mut source: NetworkFile) -> Result<(FeatureSet, FeatureSet)> {
        let network = NetworkArgs::new(source.path(), self.network, self.device);
        let mut encoder = network.encoder(&mut source, self.network)?;
        let mut features = |split| -> Result<FeatureSet> {
            let data = self.data.open(&source, split)?;
            let bar = ImageBar::new(data.name(), data.len());
            let set = encoder.feature_set(&*data, |done| bar.set(done))?;
            bar.finish(set.rows());
            Ok(set)
        };
        Ok((features("train")?, features("test")?))
    }

    fn train(&self) -> Result<&Path> {
        wanted(&self.features, "--features", "the training features, or a checkpoint")
    }
}

/// A required file.
pub fn wanted<'a>(file: &'a Option<PathBuf>, flag: &str, what: &str) -> Result<&'a Path> {
    let line = || Error::usage(format!("{flag} FILE is missing: give {what}"));
    file.as_deref().ok_or_else(line)
}
