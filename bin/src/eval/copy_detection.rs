//! `carp eval copy-detection`: Copydays, from features and file names.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use clap::Args;
use datasets::Progress;
use evaluations::all::Protocol;
use evaluations::copy_detection::{
    CopyDetectionOptions, CopyFeatures, CopyNames, HEADLINE, evaluate,
};
use evaluations::features::FeatureSet;

use super::classifier::print_source;
use super::feature_source::{Output, files, wanted};
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct CopyDetectionArgs {
    /// Features of the originals: a safetensors file with `features` `[N,D]` f32.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Features of the queries, block by block, in the same format.
    #[arg(long, value_name = "FILE")]
    test_features: Option<PathBuf>,
    /// File names: {"originals": [name, ...], "blocks": [{"name": ..., "queries": [name, ...]}, ...]}.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// Features of distractor images for the database.
    #[arg(long, value_name = "FILE")]
    distractors: Option<PathBuf>,
    /// Features to learn a whitening from [default: no whitening].
    #[arg(long, value_name = "FILE")]
    whitening: Option<PathBuf>,
    /// How much of each ranking counts; 0 means all.
    #[arg(long, value_name = "N", default_value_t = CopyDetectionOptions::default().top)]
    top: usize,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: &CopyDetectionArgs) -> Result<ExitCode> {
    args.output.check()?;
    let originals = wanted(&args.features, "--features", "the features of the originals")?;
    let queries = wanted(&args.test_features, "--test-features", "the features of the queries")?;
    let names = wanted(&args.names, "--names", "the file names")?;
    let source = files([
        ("features", Some(originals)),
        ("test features", Some(queries)),
        ("file names", Some(names)),
        ("distractors", args.distractors.as_deref()),
        ("whitening", args.whitening.as_deref()),
    ]);
    let load = |path: &Option<PathBuf>| path.as_deref().map(FeatureSet::load).transpose();
    let result = on_threads(args.output.threads, || {
        let names = CopyNames::load(names)?;
        let features = CopyFeatures {
            originals: FeatureSet::load(originals)?,
            queries: FeatureSet::load(queries)?,
            distractors: load(&args.distractors)?,
            whitening: load(&args.whitening)?,
        };
        let options = CopyDetectionOptions { top: args.top, ..CopyDetectionOptions::default() };
        evaluate(features, &names, options, Progress::none())
    })?;
    let whitening = match result.whitened_by {
        Some(n) => format!("whitened (power {}, {n} images)", result.options.whitening_power),
        None => "not whitened".to_owned(),
    };
    print_source(&source);
    say!(
        "copy detection, cosine, {whitening}: {} originals and {} distractors, features of {}; AP by \
         trapezoids over {}",
        result.originals,
        result.distractors,
        result.dim,
        result.depth()
    );
    if let Some(map) = result.strong {
        say!("{HEADLINE}: mAP {:.2} %", 100.0 * map);
    }
    say!("{:<16}{:>8}{:>9}", "block", "queries", "mAP %");
    for block in &result.blocks {
        say!("{:<16}{:>8}{:>9.2}", block.name, block.queries, 100.0 * block.map);
    }
    args.output.save(Protocol::CopyDetection, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}
