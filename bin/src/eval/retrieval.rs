//! `carp eval retrieval`: revisited Oxford and Paris, from features and their ground truth.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use clap::Args;
use datasets::Progress;
use evaluations::all::Protocol;
use evaluations::features::FeatureSet;
use evaluations::retrieval::{Relevance, RetrievalOptions, evaluate};

use super::classifier::print_source;
use super::feature_source::{Output, files, wanted};
use crate::commas::with_commas;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct RetrievalArgs {
    /// Features of the database images: safetensors with `features` `[N,D]` f32.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Features of the queries, in the same format.
    #[arg(long, value_name = "FILE")]
    test_features: Option<PathBuf>,
    /// Ground truth: {"easy": [[row, ...], ...], "hard": ..., "junk": ...}, per query, a list of
    /// database rows.
    #[arg(long, value_name = "FILE")]
    relevance: Option<PathBuf>,
    /// Ranks at which to measure precision.
    #[arg(long, value_name = "RANK,...", value_delimiter = ',')]
    #[arg(default_value = with_commas(&RetrievalOptions::default().precision_at))]
    precision_at: Vec<usize>,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: &RetrievalArgs) -> Result<ExitCode> {
    args.output.check()?;
    let database = wanted(&args.features, "--features", "the features of the database")?;
    let queries = wanted(&args.test_features, "--test-features", "the features of the queries")?;
    let relevance = wanted(&args.relevance, "--relevance", "the ground truth")?;
    let source = files([
        ("features", Some(database)),
        ("test features", Some(queries)),
        ("ground truth", Some(relevance)),
    ]);
    let result = on_threads(args.output.threads, || {
        let relevance = Relevance::load(relevance)?;
        let (database, queries) = (FeatureSet::load(database)?, FeatureSet::load(queries)?);
        let options = RetrievalOptions { precision_at: args.precision_at.clone() };
        evaluate(&database, &queries, &relevance, options, Progress::none())
    })?;
    print_source(&source);
    say!(
        "revisited retrieval, cosine: {} queries in {} images, features of {}; AP by trapezoids, \
         junk removed",
        result.queries,
        result.database,
        result.dim
    );
    let columns = result.options.precision_at.iter().map(|k| format!("{:>9}", format!("mP@{k} %")));
    say!("{:<8}{:>9}{}  queries", "", "mAP %", columns.collect::<String>());
    let rows = [("Easy", &result.easy), ("Medium", &result.medium), ("Hard", &result.hard)];
    for (name, score) in rows {
        let number = |x: &Option<f64>| x.map_or("-".to_owned(), |x| format!("{:.2}", 100.0 * x));
        let columns = score.mean_precision.iter().map(|x| format!("{:>9}", number(x)));
        let columns: String = columns.collect();
        say!("{name:<8}{:>9}{columns}  {:>7}", number(&score.map), score.queries);
    }
    args.output.save(Protocol::Retrieval, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}
