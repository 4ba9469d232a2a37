//! `carp eval`: measures a trained network, one file per protocol.

mod classifier;
mod copy_detection;
mod feature_source;
mod few_shot;
mod kmeans;
mod knn;
mod linear;
mod retrieval;
mod semi;

use std::process::ExitCode;

use carp::error::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum EvalCommand {
    /// Weighted k-nearest-neighbour accuracy.
    Knn(knn::KnnArgs),
    /// k-means clusters against classes: NMI, AMI, ARI and others.
    Kmeans(kmeans::KmeansArgs),
    /// Linear SVMs on a few and on all images per class: mean average precision.
    FewShot(few_shot::FewShotArgs),
    /// Revisited Oxford and Paris: mAP and mP@k.
    Retrieval(retrieval::RetrievalArgs),
    /// Copydays: mAP per kind of edit.
    CopyDetection(copy_detection::CopyDetectionArgs),
    /// Accuracy of a linear classifier on frozen features.
    Linear(linear::LinearArgs),
    /// Accuracy of the whole network, fine-tuned on few labels.
    Semi(semi::SemiArgs),
}

pub fn run(command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::Knn(args) => knn::run(args),
        EvalCommand::Kmeans(args) => kmeans::run(args),
        EvalCommand::FewShot(args) => few_shot::run(args),
        EvalCommand::Retrieval(args) => retrieval::run(args),
        EvalCommand::CopyDetection(args) => copy_detection::run(args),
        EvalCommand::Linear(args) => linear::run(args),
        EvalCommand::Semi(args) => semi::run(args),
    }
}
