//! Where a protocol's features come from, and where its results go.

use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use clap::Args;
use evaluations::all::Protocol;
use evaluations::features::FeatureSet;
use serde::Serialize;

use super::image_source::{ImageSource, Sets};
use super::report::{Source, write_json};
use super::whiten_args::WhitenArgs;
use crate::outputs::check_outputs;

/// A checkpoint with images, or feature files made by any program.
#[derive(Args)]
pub struct FeatureSource {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    #[arg(conflicts_with_all = ["features", "test_features"])]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    pub images: ImageSource,
    /// Features to train on, or of the database, instead of a checkpoint: safetensors with
    /// `features` `[N,D]` f32 and, where the protocol has classes, `labels` `[N]` or `[N,C]`.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["network", "prefix", "patches", "grid"])]
    #[arg(conflicts_with_all = ["preset", "dataset", "data", "strict"])]
    pub features: Option<PathBuf>,
    /// Features to test on, or of the queries, in the same format.
    #[arg(long, value_name = "FILE")]
    pub test_features: Option<PathBuf>,
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
    /// Fails if the JSON file or one of the `more` outputs cannot be written, or is another or one of the
    /// inputs: to know before the work.
    pub fn check<'a>(
        &'a self,
        more: &[&'a Option<PathBuf>],
        inputs: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<()> {
        check_outputs(self.json.iter().chain(more.iter().copied().flatten()), inputs)
    }

    /// Writes the JSON file, if one was requested.
    pub fn save(&self, protocol: Protocol, source: &Source, result: &impl Serialize) -> Result<()> {
        self.json.as_ref().map_or(Ok(()), |path| write_json(path, protocol.name(), source, result))
    }
}

impl FeatureSource {
    /// [`Output::check`] with the inputs here, and more `beside` them.
    pub fn check_outputs(
        &self,
        more: &[&Option<PathBuf>],
        beside: &[&Option<PathBuf>],
    ) -> Result<()> {
        let own = [&self.checkpoint, &self.features, &self.test_features];
        self.output.check(more, own.into_iter().chain(beside.iter().copied()).flatten())
    }

    /// The checkpoint, or `None` if there are feature files.
    ///
    /// # Errors
    /// There is neither a checkpoint nor feature files.
    pub fn checkpoint(&self) -> Result<Option<&Path>> {
        match (&self.checkpoint, &self.features) {
            (None, None) => {
                let detail = "CHECKPOINT or --features FILE is missing: give a run folder, a \
                              checkpoint or third-party weights, or features";
                Err(Error::usage(detail.to_owned()))
            }
            (checkpoint, _) => Ok(checkpoint.as_deref()),
        }
    }

    /// Training and test features for a protocol, with their source.
    pub fn pair(
        &self,
        protocol: Protocol,
        whitening: &WhitenArgs,
    ) -> Result<(FeatureSet, FeatureSet, Source)> {
        if self.checkpoint()?.is_none() {
            wanted(&self.test_features, "--test-features", "the test features")?;
        }
        let Sets { train, test, source, .. } = self.train_and_maybe_test(protocol, whitening)?;
        Ok((train, test.expect("a file, or a network's"), source))
    }

    /// Training features, and test features if there are any.
    pub fn train_and_maybe_test(&self, protocol: Protocol, whitening: &WhitenArgs) -> Result<Sets> {
        let sets = match self.checkpoint()? {
            Some(checkpoint) => self.images.features(checkpoint, protocol),
            None => self.of_files(),
        };
        whitening.over(sets?)
    }

    /// The features of the files.
    fn of_files(&self) -> Result<Sets> {
        let train = self.features.as_deref().expect("features, as there is no checkpoint");
        let test = self.test_features.as_deref();
        Ok(Sets {
            train: FeatureSet::load(train)?,
            test: test.map(FeatureSet::load).transpose()?,
            source: files([("features", Some(train)), ("test features", test)]),
            test_images: None,
        })
    }

    /// The files of database and queries.
    pub fn database_and_queries(&self) -> Result<(&Path, &Path)> {
        let database = wanted(&self.features, "--features", "the features of the database")?;
        let queries =
            wanted(&self.test_features, "--test-features", "the features of the queries")?;
        Ok((database, queries))
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
