//! The command `carp`: trains, evaluates and looks inside. Everything that another program would
//! want to call is in the libraries `carp`, `evaluations`, `datasets`, `weights` and `audit`; here
//! are arguments and what is printed.

mod audit;
mod bench;
mod config_args;
mod data;
mod data_args;
mod device;
mod eval;
mod features;
mod image_bar;
mod inspect;
mod network_args;
mod print;
mod ptx;
mod threads;
mod train;
mod weights;

use std::alloc::System;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
