//! The command `carp`: trains, evaluates and inspects. Everything another program might call is in
//! the libraries `carp`, `evaluations`, `comparison`, `report`, `learn`, `datasets`, `weights` and
//! `audit`; here are only the arguments and the output.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod audit;
mod bars;
mod bench;
mod commas;
mod compare;
mod config_args;
mod counted;
mod data;
mod data_args;
mod device;
mod embed;
mod eval;
mod features;
mod inspect;
mod learn;
mod limits;
mod machine_memory;
mod map_picture;
mod network_args;
mod one_of;
mod outputs;
mod patch_args;
mod print;
mod ptx;
mod ranks;
mod report;
mod run_memory;
mod run_path;
mod shown_run;
mod single_thread;
mod spellings;
mod stop;
mod threads;
mod timed_step;
mod train;
mod train_screen;
mod verify;
mod weights;

use std::process::ExitCode;

use carp::error::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::print::complain_of;

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
    /// Train a network, with its k-NN accuracy before and after.
    Train(train::TrainArgs),
    /// Train several methods or settings with one budget each, and compare them in a table.
    Compare(compare::CompareArgs),
    /// Vary CARP's settings one after another, and compare them in a table.
    Ablate(compare::AblateArgs),
    /// Repeat a run, on any device, and compare every step with what it recorded.
    Verify(verify::VerifyArgs),
    /// Show runs in a page: their charts, pictures, features and memory.
    Report(report::ReportArgs),
    /// Draw a map of a network's features, also for TensorBoard's projector.
    Embed(embed::EmbedArgs),
    /// Evaluate a trained network.
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Extract image features to a file.
    Features(features::FeaturesArgs),
    /// Inspect checkpoints, third-party ones included, and export backbones.
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
    /// List the paper's data sets, and check a local copy.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Print the training step as a table: op, layer, shape, FLOPs, bytes, memory offset.
    Trace(inspect::TraceArgs),
    /// Print the memory the training step needs, and draw its memory map.
    Plan(inspect::PlanArgs),
    /// Benchmark variants of a computation: time, memory, share of the GEMM peak.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run, check, profile, trace or view one GPU kernel on the emulator.
    #[command(subcommand)]
    Ptx(ptx::PtxCommand),
    /// Learn by exercises that are checked: from strides to a fused GPU kernel.
    Learn(learn::LearnArgs),
    /// Replay recorded computations and compare the results (docs/audit.md).
    Audit(audit::AuditArgs),
}

fn main() -> ExitCode {
    let arguments = spellings::as_in_help(&Cli::command(), std::env::args_os());
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command,
        Err(error) if ranks::is_first() => error.exit(),
        Err(_) => return ExitCode::SUCCESS,
    };
    let result = match command {
        Command::Train(_) | Command::Bench(bench::BenchCommand::Ranks) => run_command(command),
        _ => ranks::refuse_several().and_then(|()| run_command(command)),
    };
    result.unwrap_or_else(|error| {
        if !ranks::is_first() {
            // The first one tells it, and its exit code is that of all.
            return ExitCode::SUCCESS;
        }
        complain_of(&error);
        ExitCode::from(error.exit_code())
    })
}

fn run_command(command: Command) -> Result<ExitCode> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Ablate(args) => compare::ablate(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Eval(command) => eval::run(&command),
        Command::Features(args) => features::run(&args),
        Command::Weights(command) => weights::run(&command),
        Command::Data(command) => data::run(&command),
        Command::Trace(args) => inspect::trace(&args),
        Command::Plan(args) => inspect::plan(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Ptx(command) => ptx::run(&command),
        Command::Learn(args) => learn::run(&args),
        Command::Audit(args) => audit::run(&args),
    }
}
