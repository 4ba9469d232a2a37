//! The command `carp`: trains, evaluates and looks inside. Everything that another program would
//! want to call is in the library `carp`.

mod audit;
mod bench;
mod data;
mod device;
mod eval;
mod features;
mod inspect;
mod ptx;
mod source;
mod train;
mod weights;

use std::alloc::System;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use autograd::Passes;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::loss::LossVariant;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use tensor::packing_pool::PackingPool;

/// Keeps GEMM's packing buffers from step to step, so that a step asks the system for no memory.
#[global_allocator]
static ALLOCATOR: PackingPool<System> = PackingPool(System);

/// CARP: learns image features without labels, by consistent assignment of views over random
/// partitions of prototypes.
#[derive(Parser)]
#[command(name = "carp", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train and report k-NN accuracy before and after.
    Train(train::TrainArgs),
    /// Measure a trained network.
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Extract the features of pictures to a file.
    Features(features::FeaturesArgs),
    /// Look into checkpoints of any make, and export backbones.
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
    /// The data sets of the paper: what they are, and whether one is whole.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Print the training step as a table: op, layer, shape, FLOPs, bytes, place in memory.
    Trace(inspect::TraceArgs),
    /// Print what memory the training step needs, and draw its map.
    Plan(inspect::PlanArgs),
    /// Measure variants of a computation side by side: time, memory, share of the GEMM peak.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run one GPU kernel on the emulator: run, check, profile or trace it.
    #[command(subcommand)]
    Ptx(ptx::PtxCommand),
    /// Replay recorded computations (docs/audit.md) and compare.
    Audit(audit::AuditArgs),
}

/// Where the settings come from.
#[derive(Args)]
struct ConfigArgs {
    /// A preset's name (shapes, fashion-mnist, cifar10, stl10, folder, imagenet) or a TOML file.
    #[arg(long, default_value = "shapes")]
    preset: String,
    /// Override one setting, such as train.epochs=10; can be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    sets: Vec<(String, String)>,
    /// The folder with the data (the same as --set data.path=DIR).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How the loss is computed (the same as --set model.loss_variant=NAME).
    #[arg(long, value_name = "NAME", value_parser = loss_variant())]
    loss_variant: Option<LossVariant>,
    /// Passes of fusion: none, all, or names with commas between them (the same as --set
    /// train.fuse=NAMES; docs/fusion.md has a page on each).
    #[arg(long, value_name = "NAMES")]
    fuse: Option<Passes>,
    /// Make an unreadable image an error instead of skipping it (--set data.strict=true).
    #[arg(long)]
    strict: bool,
}

fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("should be KEY=VALUE".to_owned()),
    }
}

/// Knows the variants of the loss by their names.
fn loss_variant() -> impl TypedValueParser<Value = LossVariant> {
    PossibleValuesParser::new(LossVariant::ALL.map(LossVariant::name))
        .map(|name| LossVariant::from_name(&name).expect("one of the possible values"))
}

impl ConfigArgs {
    fn load(&self) -> Result<Config> {
        let mut config = Config::load(&self.preset, &self.sets)?;
        if let Some(path) = &self.data {
            config.data.path = Some(path.clone());
        }
        if let Some(variant) = self.loss_variant {
            config.model.loss_variant = variant;
        }
        if let Some(passes) = &self.fuse {
            config.train.fuse = passes.clone();
        }
        config.data.strict |= self.strict;
        Ok(config)
    }

    /// What a run with this preset is called.
    fn preset_name(&self) -> String {
        let path = std::path::Path::new(&self.preset);
        path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Eval(command) => eval::run(&command),
        Command::Features(args) => features::run(&args),
        Command::Weights(command) => weights::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Trace(args) => inspect::trace(&args),
        Command::Plan(args) => inspect::plan(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Ptx(command) => ptx::run(&command),
        Command::Audit(args) => audit::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(error.exit_code())
    })
}

/// Prints a long text; a reader that has seen enough (`| head`) may close the pipe.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Runs `work` on a pool of so many threads (0: one per core). The main thread is not one of them,
/// so that the whole of `work`, not only its parallel parts, runs on the pool.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::Usage(format!("cannot start {threads} threads: {error}")))?
        .install(work)
}
