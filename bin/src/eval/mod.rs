//! `carp eval`: measures a trained network, one file per protocol.

mod classifier;
mod knn;
mod linear;
mod semi;

use std::process::ExitCode;

use carp::error::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum EvalCommand {
    /// Weighted k-nearest-neighbour accuracy of the teacher's features.
    Knn(knn::KnnArgs),
    /// Accuracy of a linear classifier on frozen features.
    Linear(linear::LinearArgs),
    /// Accuracy of the whole network, fine-tuned on few labels.
    Semi(semi::SemiArgs),
}

pub fn run(command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::Knn(args) => knn::run(args),
        EvalCommand::Linear(args) => linear::run(args),
        EvalCommand::Semi(args) => semi::run(args),
    }
}
