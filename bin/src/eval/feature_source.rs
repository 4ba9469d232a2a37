//! Where a protocol's features come from, and where its results go.

use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use clap::Args;
use evaluations::all::{Look, Protocol};
use evaluations::features::FeatureSet;
use evaluations::network_file::{NetworkFile, NetworkName};
use files::check_output;
use serde::Serialize;

use super::classifier::{Source, write_json};
use crate::data_args::DataArgs;
use crate::device::DeviceArgs;
use crate::features::{network_option, tell};
use crate::image_bar::ImageBar;
use crate::network_args::{FilterName, NetworkArgs, network_name};

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
    pub fn save(&self, protocol: Protocol, source: &Source, result: &impl Serialize) -> Result<()> {
        self.json.as_ref().map_or(Ok(()), |path| write_json(path, protocol.name(), source, result))
    }
}

/// Features with their source.
pub struct Sets {
    pub train: FeatureSet,
    pub test: Option<FeatureSet>,
    pub source: Source,
}

impl FeatureSource {
    /// Training and test features for a protocol, with their source.
    pub fn pair(&self, protocol: Protocol) -> Result<(FeatureSet, FeatureSet, Source)> {
        if self.checkpoint.is_none() && self.features.is_some() {
            wanted(&self.test_features, "--test-features", "the test features")?;
        }
        let Sets { train, test, source } = self.train_and_maybe_test(protocol)?;
        Ok((train, test.expect("a file, or a network's"), source))
    }

    /// Training features, and test features if there are any.
    pub fn train_and_maybe_test(&self, protocol: Protocol) -> Result<Sets> {
        if let Some(checkpoint) = &self.checkpoint {
            let source = NetworkArgs::new(checkpoint, self.network, self.device).open()?;
            tell(&source, self.network, network_option)?;
            return self.extract(source, protocol);
        }
        let train = wanted(&self.features, "--features", "the training features, or a checkpoint")?;
        let test = self.test_features.as_deref();
        Ok(Sets {
            train: FeatureSet::load(train)?,
            test: test.map(FeatureSet::load).transpose()?,
            source: files([("features", Some(train)), ("test features", test)]),
        })
    }

    /// The network's features of training and test data.
    fn extract(&self, mut file: NetworkFile, protocol: Protocol) -> Result<Sets> {
        let mut network = NetworkArgs::new(file.path(), self.network, self.device);
        let (data, _) = self.data.config(&file)?;
        let transform = Look::of(&file)?.transform(protocol, data.kind);
        network.filter = FilterName::of(transform.filter);
        let mut encoder = network.encoder(&mut file, self.network)?;
        let mut source = vec![
            ("checkpoint", file.path().display().to_string()),
            ("network", self.network.name().to_owned()),
        ];
        let mut features = |split, what| -> Result<FeatureSet> {
            let data = self.data.open(&file, split)?;
            source.push((what, data.name().to_owned()));
            let bar = ImageBar::new(data.name(), data.len());
            let set = encoder.feature_set(&*data, |done| bar.set(done))?;
            bar.finish(set.rows());
            Ok(set)
        };
        let train = features("train", "training images of")?;
        let test = Some(features("test", "test images of")?);
        source.push(("images", encoder.transform().to_string()));
        Ok(Sets { train, test, source })
    }
}

/// Names of the files that were given, for a report.
pub fn files<const N: usize>(files: [(&'static str, Option<&Path>); N]) -> Source {
    let given = files.into_iter().filter_map(|(name, path)| Some((name, path?)));
    given.map(|(name, path)| (name, path.display().to_string())).collect()
}

/// A required file.
pub fn wanted<'a>(file: &'a Option<PathBuf>, flag: &str, what: &str) -> Result<&'a Path> {
    let line = || Error::usage(format!("{flag} FILE is missing: give {what}"));
    file.as_deref().ok_or_else(line)
}
