//! `carp eval knn`: weighted k-nearest-neighbour accuracy.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use clap::Args;
use evaluations::all::Protocol;
use evaluations::knn::{KnnAccuracy, KnnOptions, evaluate};

use super::class_args::ClassArgs;
use super::feature_source::FeatureSource;
use super::report::print_source;
use super::whiten_args::WhitenArgs;
use crate::bars::watched;
use crate::commas::with_commas;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct KnnArgs {
    #[command(flatten)]
    source: FeatureSource,
    #[command(flatten)]
    whitening: WhitenArgs,
    /// Numbers of neighbours.
    #[arg(short, long, value_name = "K,...", value_delimiter = ',')]
    #[arg(default_value = with_commas(&KnnOptions::default().ks))]
    k: Vec<usize>,
    /// T in the weight exp(similarity / T) of a vote.
    #[arg(long, value_name = "T", default_value_t = KnnOptions::default().temperature)]
    #[arg(allow_hyphen_values = true)]
    temperature: f32,
    #[command(flatten)]
    classes: ClassArgs,
    /// Also write the predicted classes: safetensors with `predictions.K` `[N]` for each k.
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
}

pub fn run(args: &KnnArgs) -> Result<ExitCode> {
    args.source.check_outputs(&[&args.classes.confusion, &args.predictions], &[])?;
    args.classes.check()?;
    let options = KnnOptions { ks: args.k.clone(), temperature: args.temperature };
    let (source, result) = on_threads(args.source.output.threads, || {
        let (train, test, source) = args.source.pair(Protocol::Knn, &args.whitening)?;
        let result = watched("k-NN", |progress| evaluate(&train, &test, options, progress))?;
        Ok((source, result))
    })?;
    print_source(&source);
    say!(
        "k-NN, cosine, votes exp(s / {}): {} test against {} training features of {}, {} classes",
        result.options.temperature,
        result.queries,
        result.bank,
        result.dim,
        result.classes
    );
    let names: Vec<String> = result.accuracies.iter().map(KnnAccuracy::name).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0).max(5);
    say!("{:>width$}  {:>8}  {:>8}", "k", "top-1 %", "top-5 %");
    for (name, accuracy) in names.iter().zip(&result.accuracies) {
        let (top1, top5) = (100.0 * accuracy.top1, 100.0 * accuracy.top5);
        say!("{name:>width$}  {top1:>8.2}  {top5:>8.2}");
    }
    args.classes.show(&result.confusion, &format!("k = {}", result.confusion_k))?;
    if let Some(path) = &args.predictions {
        result.save_predictions(path)?;
    }
    args.source.output.save(Protocol::Knn, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}
