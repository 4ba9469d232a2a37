//! `carp eval`: evaluates a trained network, one file per protocol.

mod all;
mod class_args;
mod class_table;
mod classifier;
mod copy_detection;
mod feature_source;
mod few_shot;
mod image_source;
mod kmeans;
mod knn;
mod linear;
mod percent;
mod report;
mod retrieval;
mod semi;
mod whiten_args;

use std::process::ExitCode;

use carp::error::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum EvalCommand {
    /// Run every evaluation that the data allows, and tabulate the results.
    All(Box<all::AllArgs>),
    /// Measure weighted k-nearest-neighbour accuracy.
    Knn(knn::KnnArgs),
    /// Score k-means clusters against the classes: NMI, AMI, ARI and others.
    Kmeans(kmeans::KmeansArgs),
    /// Train linear SVMs on a few and on all images per class: mean average precision.
    FewShot(few_shot::FewShotArgs),
    /// Measure retrieval on revisited Oxford and Paris: mAP and mP@k.
    Retrieval(retrieval::RetrievalArgs),
    /// Measure copy detection on Copydays: mAP per kind of edit.
    CopyDetection(copy_detection::CopyDetectionArgs),
    /// Train a linear classifier on frozen features.
    Linear(Box<linear::LinearArgs>),
    /// Fine-tune the whole network on few labels.
    Semi(Box<semi::SemiArgs>),
}

pub fn run(command: &EvalCommand) -> Result<ExitCode> {
    match command {
        EvalCommand::All(args) => all::run(args),
        EvalCommand::Knn(args) => knn::run(args),
        EvalCommand::Kmeans(args) => kmeans::run(args),
        EvalCommand::FewShot(args) => few_shot::run(args),
        EvalCommand::Retrieval(args) => retrieval::run(args),
        EvalCommand::CopyDetection(args) => copy_detection::run(args),
        EvalCommand::Linear(args) => linear::run(args),
        EvalCommand::Semi(args) => semi::run(args),
    }
}
