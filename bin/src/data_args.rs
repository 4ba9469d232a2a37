//! Arguments that choose the images.

use std::path::PathBuf;
use std::sync::Arc;

use carp::config::Config;
use carp::error::{Error, Result};
use clap::Args;
use datasets::catalogue::{self, Contents, DataSet};
use datasets::{Crop, DataConfig, DataKind, Dataset, Reading};
use evaluations::network_file::NetworkFile;
use evaluations::retrieval_set::box_of;

/// Images.
#[derive(Args, Clone)]
pub struct DataArgs {
    /// Use this preset's data instead of the run's own.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Use one of the paper's data sets (see `carp data list`), found in the --data folder.
    #[arg(long, value_name = "NAME", requires = "data", conflicts_with = "preset")]
    pub dataset: Option<String>,
    /// Data folder: of the --dataset, of the run's own kind of data, or of pictures.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Fail on an unreadable image instead of skipping it.
    #[arg(long)]
    pub strict: bool,
}

impl DataArgs {
    /// Which data, and the seed that generates built-in data.
    pub fn config(&self, source: &NetworkFile) -> Result<(DataConfig, u64)> {
        let config = match (&self.preset, source.config()) {
            (Some(preset), _) => Config::load(preset, &[])?,
            (None, Some(config)) => config.clone(),
            // Third-party weights come without settings: take a folder of images.
            (None, None) => Config::default(),
        };
        let mut data = config.data;
        if let Some(name) = &self.dataset {
            let kind = catalogue::of_name(name)?.kind;
            data = DataConfig { kind, ..DataConfig::default() };
        }
        if self.data.is_some() {
            data.path.clone_from(&self.data);
            if data.kind == DataKind::Shapes {
                data.kind = DataKind::Folder;
            }
        }
        data.strict |= self.strict;
        Ok((data, config.seed))
    }

    /// One split: train, test, pretrain, or a name from one of the paper's data sets.
    ///
    /// # Errors
    /// Data that cannot be read, or a split that is not there or has no images.
    pub fn open(&self, source: &NetworkFile, split: &str) -> Result<Arc<dyn Dataset>> {
        let data = self.split(source, split)?;
        if data.is_empty() {
            let name = data.name();
            return Err(Error::usage(format!("{name}: its split {split} has no images")));
        }
        Ok(data)
    }

    fn split(&self, source: &NetworkFile, split: &str) -> Result<Arc<dyn Dataset>> {
        let (mut data, seed) = self.config(source)?;
        let set = catalogue::of_kind(data.kind);
        if set.is_some() {
            // Each image is read once.
            data.cache_mib = 0;
        }
        let official = |set: &DataSet, name: &str| {
            let reading = Reading { strict: data.strict, cache: 0 };
            Ok(set.contents(&data)?.dataset(name, reading)?)
        };
        if let (Some(set), false) = (set, ["train", "test", "pretrain"].contains(&split)) {
            return official(set, split);
        }
        // As a run has them: what it holds out of training is tested on.
        let splits = data.open(seed)?;
        let name = splits.pretrain.name().to_owned();
        let found = match split {
            "train" => splits.train,
            "test" => splits.test,
            "pretrain" => Some(splits.pretrain),
            _ => {
                let detail = format!("split {split:?}: {name} has train, test and pretrain");
                return Err(Error::usage(detail));
            }
        };
        match (found, set) {
            (Some(found), _) => Ok(found),
            // A run has no use for labels of several classes, few-shot has.
            (None, Some(set)) => {
                let (given, usual) = match split {
                    "train" => (&data.train, set.train),
                    _ => (&data.test, set.test),
                };
                let usual = if usual.is_empty() { split } else { usual };
                official(set, given.as_deref().unwrap_or(usual))
            }
            (None, None) => {
                Err(Error::usage(format!("{name} has no labelled split {split}, only pretrain")))
            }
        }
    }

    /// The index of one of the paper's data sets.
    ///
    /// # Errors
    /// Other data; files that are missing or invalid.
    pub fn contents(&self, source: &NetworkFile) -> Result<Contents> {
        let (data, _) = self.config(source)?;
        let Some(set) = catalogue::of_kind(data.kind) else {
            let kind = data.kind_name();
            let detail =
                format!("{kind} is none of the paper's data sets: give --dataset and --data");
            return Err(Error::usage(detail));
        };
        Ok(set.contents(&data)?)
    }

    /// The query boxes of a retrieval data set.
    pub fn query_boxes(&self, source: &NetworkFile) -> Result<Vec<Crop>> {
        let (data, _) = self.config(source)?;
        let queries = match catalogue::of_kind(data.kind) {
            Some(set) => set.contents(&data)?.queries,
            None => vec![],
        };
        if queries.is_empty() {
            let detail = "--query-boxes needs the split `queries` of roxford5k or rparis6k";
            return Err(Error::usage(detail.to_owned()));
        }
        Ok(queries.iter().map(box_of).collect())
    }
}
