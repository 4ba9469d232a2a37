//! `carp bench`: variants of one computation, run in turn on the same inputs.

mod augment;
mod breakdown;
mod contender;
mod conv;
mod conv_accuracy;
mod fuse;
mod gemm;
mod inference;
mod loss;
mod matrixmultiply;
mod norm;
mod optimizer;
mod patches;
mod peak;
pub mod picture;
mod profile;
mod race;
mod ranks;
mod roofline;
mod step;

use std::process::ExitCode;

use carp::error::Result;
use clap::Subcommand;

use self::race::{RaceArgs, race_and_print};

#[derive(Subcommand)]
pub enum BenchCommand {
    /// Benchmark the loss, from op by op to streaming.
    Loss(loss::LossArgs),
    /// Benchmark convolution: from naive loops to Winograd's algorithm, and how accurate they are.
    Conv(conv::ConvArgs),
    /// Benchmark matrix products: our microkernel against `matrixmultiply`.
    Gemm(RaceArgs),
    /// Benchmark batch norm with residual and ReLU: three ops against one.
    Norm(RaceArgs),
    /// Benchmark LARS on a ResNet-18: op by op, one kernel per tensor, one kernel for all.
    Optimizer(RaceArgs),
    /// Benchmark the training step with each loss variant, or break it down by kind of op.
    Step(step::StepArgs),
    /// Benchmark features of a batch of images: batch norms as layers against folded ones.
    Inference(inference::InferenceArgs),
    /// Benchmark reading images and making their views, on one thread.
    Augment(augment::AugmentArgs),
    /// Benchmark the training step unfused, with each fusion pass alone, and with all.
    Fuse(fuse::FuseArgs),
    /// Benchmark a sum over the processes that mpirun starts (docs/distributed.md).
    Ranks,
}

pub fn run(command: &BenchCommand) -> Result<ExitCode> {
    match command {
        BenchCommand::Loss(args) => loss::run(args),
        BenchCommand::Conv(args) => conv::run(args),
        BenchCommand::Gemm(args) => race_and_print(args.threads, &args.rounds, gemm::contenders),
        BenchCommand::Norm(args) => race_and_print(args.threads, &args.rounds, norm::contenders),
        BenchCommand::Optimizer(args) => {
            race_and_print(args.threads, &args.rounds, optimizer::contenders)
        }
        BenchCommand::Step(args) => step::run(args),
        BenchCommand::Inference(args) => inference::run(args),
        BenchCommand::Augment(args) => augment::run(args),
        BenchCommand::Fuse(args) => fuse::run(args),
        BenchCommand::Ranks => ranks::run(),
    }
}
