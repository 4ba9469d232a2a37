//! `carp eval`: measures a trained network, one file per protocol.

mod knn;

use std::process::ExitCode;

use carp::error::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum EvalCommand {
    /// Weighted k-nearest-neighbour accuracy of the teacher's features.
    Knn(knn::KnnArgs),
}

pub fn run(command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::Knn(args) => knn::run(args),
    }
}
