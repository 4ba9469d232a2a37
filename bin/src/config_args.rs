//! `--preset`, `--set` and the like: the settings of a run.

use std::path::PathBuf;

use autograd::Passes;
use carp::config::Config;
use carp::conv::ConvChoice;
use carp::error::{Error, Result};
use carp::loss::LossVariant;
use carp::memory_budget::MemoryBudget;
use carp::method::MethodConfig;
use clap::Args;
use clap::builder::TypedValueParser;
use tensor::Numerics;

use crate::limits::{THREADS, within};
use crate::one_of::one_of;

/// Where the settings come from.
#[derive(Args)]
pub struct ConfigArgs {
    /// Preset (shapes, minimal, fashion-mnist, cifar10, stl10, folder, imagenet, imagenet-METHOD) or
    /// TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "shapes")]
    preset: String,
    /// Method, with its settings for small images (same as --set method.name=NAME; see
    /// docs/methods.md) [default: the preset's, mostly carp].
    #[arg(long, value_name = "NAME", value_parser = method())]
    method: Option<&'static str>,
    /// Override a setting, such as train.epochs=10; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// Data folder (same as --set data.path=DIR).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How to compute the loss (same as --set model.loss_variant=NAME).
    #[arg(long, value_name = "NAME", value_parser = loss_variant())]
    loss_variant: Option<LossVariant>,
    /// Fusion passes: none, all, or a comma-separated list (same as --set train.fuse=NAMES; see
    /// docs/fusion.md).
    #[arg(long, value_name = "NAMES")]
    fuse: Option<Passes>,
    /// How to compute convolutions (same as --set train.conv=NAME; see docs/convolution.md).
    #[arg(long, value_name = "NAME", value_parser = one_of(ConvChoice::ALL, ConvChoice::name))]
    conv: Option<ConvChoice>,
    /// What the device may round (same as --set train.numerics=NAME; see docs/cuda.md).
    #[arg(long, value_name = "NAME", value_parser = one_of(Numerics::ALL, Numerics::name))]
    numerics: Option<Numerics>,
    /// Write each step's digest of loss and weights to metrics.jsonl (same as --set
    /// train.digest=true; see docs/verify.md).
    #[arg(long)]
    digest: bool,
    /// Most memory of a step, such as 512MiB: activations are computed anew where needed (same as
    /// --set train.memory_budget=SIZE; see docs/memory.md).
    #[arg(long, value_name = "SIZE")]
    memory_budget: Option<MemoryBudget>,
    /// Equal parts of a batch, which decide the bits and which ranks can share (same as --set
    /// train.shards=S; see docs/distributed.md).
    #[arg(long, value_name = "S")]
    shards: Option<usize>,
    /// Threads; 0 means one per core (same as --set train.threads=N).
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Fail on an unreadable image instead of skipping it (same as --set data.strict=true).
    #[arg(long)]
    strict: bool,
}

fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("should be KEY=VALUE".to_owned()),
    }
}

/// Parses the name of a method.
fn method() -> impl TypedValueParser<Value = &'static str> {
    one_of(MethodConfig::all().map(|method| method.name()), |name| name)
}

/// Parses the name of a loss variant.
pub fn loss_variant() -> impl TypedValueParser<Value = LossVariant> {
    one_of(LossVariant::ALL, LossVariant::name)
}

impl ConfigArgs {
    /// The settings.
    ///
    /// # Errors
    /// Those of [`Config::load`].
    pub fn load(&self) -> Result<Config> {
        self.load_with(&[])
    }

    /// The settings with more of them set than by `--set`.
    ///
    /// # Errors
    /// As [`ConfigArgs::load`].
    pub fn load_with(&self, more: &[(String, String)]) -> Result<Config> {
        let set = self.sets.iter().rfind(|(key, _)| key == "method.name");
        if let (Some(method), Some((_, name))) = (self.method, set)
            && method != name
        {
            let detail =
                format!("--method {method} and --set method.name={name}: give one of both");
            return Err(Error::usage(detail));
        }
        let method = self.method.map(|name| ("method.name".to_owned(), name.to_owned()));
        let shards = self.shards.map(|shards| ("train.shards".to_owned(), shards.to_string()));
        let own = method.iter().chain(&shards);
        let sets: Vec<_> = own.chain(&self.sets).chain(more).cloned().collect();
        let mut config = Config::load(&self.preset, &sets)?;
        if let Some(path) = &self.data {
            config.data.path = Some(path.clone());
        }
        if let Some(variant) = self.loss_variant {
            config.model.loss_variant = variant;
        }
        if let Some(passes) = &self.fuse {
            config.train.fuse = passes.clone();
        }
        let is_variant = |(key, _): &(String, String)| key == "model.loss_variant";
        let has_variant = self.loss_variant.is_some() || sets.iter().any(is_variant);
        if has_variant && config.train.fuse != Passes::all() {
            let detail = "--loss-variant (model.loss_variant) says how far all passes fuse the loss; \
                          with --fuse NAMES (train.fuse), name the loss's pass there";
            return Err(Error::usage(detail));
        }
        if let Some(conv) = self.conv {
            config.train.conv = conv;
        }
        if let Some(numerics) = self.numerics {
            config.train.numerics = numerics;
        }
        if let Some(threads) = self.threads {
            within("--threads", threads, 0..=THREADS)?;
            config.train.threads = threads;
        }
        config.train.digest |= self.digest;
        let mut config = self.over(config);
        config.data.strict |= self.strict;
        // A run may be resumed and evaluated from elsewhere.
        if let Some(path) = &mut config.data.path {
            *path = std::path::absolute(&path).map_err(|source| Error::io(&*path, source))?;
        }
        Ok(config)
    }

    /// The settings of an earlier run, with what a resume may change: the memory budget, since the
    /// bits stay the same.
    pub fn over(&self, mut config: Config) -> Config {
        if let Some(budget) = self.memory_budget {
            config.train.memory_budget = budget;
        }
        config
    }

    /// The preset's file, if it is one.
    pub fn preset_file(&self) -> PathBuf {
        PathBuf::from(&self.preset)
    }

    /// What a run with this preset is called; one with another method, by its name, too.
    pub fn preset_name(&self) -> String {
        let path = self.preset_file();
        let preset = path.file_stem().unwrap_or_default().to_string_lossy();
        self.method.map_or(preset.to_string(), |method| format!("{preset}-{method}"))
    }
}
