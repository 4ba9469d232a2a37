//! `carp eval few-shot`: one-vs-rest linear SVMs on a few and on all images per class.

use std::process::ExitCode;

use carp::error::Result;
use clap::{Args, ValueEnum};
use evaluations::all::Protocol;
use evaluations::average_precision::Interpolation;
use evaluations::few_shot::{ClassPrecision, Difficult, FewShotOptions, ShotScore, evaluate};
use evaluations::linear_svm::SvmOptions;

use super::class_table::print_classes;
use super::feature_source::FeatureSource;
use super::percent::percent;
use super::report::print_source;
use super::whiten_args::WhitenArgs;
use crate::bars::watched;
use crate::commas::with_commas;
use crate::limits::{DRAWS, within};
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct FewShotArgs {
    #[command(flatten)]
    source: FeatureSource,
    #[command(flatten)]
    whitening: WhitenArgs,
    /// SVM costs C to try; the best mAP is reported.
    #[arg(long, value_name = "C,...", value_delimiter = ',')]
    #[arg(default_value = with_commas(&FewShotOptions::default().costs))]
    #[arg(allow_hyphen_values = true)]
    costs: Vec<f64>,
    /// Images per class.
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    #[arg(default_value = with_commas(&FewShotOptions::default().shots))]
    shots: Vec<usize>,
    /// Random draws for each number of images.
    #[arg(long, value_name = "N", default_value_t = FewShotOptions::default().draws)]
    draws: usize,
    /// Train only on the full training set.
    #[arg(long, conflicts_with_all = ["no_full", "shots", "draws"])]
    only_full: bool,
    /// Skip the full training set.
    #[arg(long)]
    no_full: bool,
    /// Meaning of label 0 in `[N,C]`.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = DifficultArg::Negative)]
    difficult: DifficultArg,
    /// Interpolation of average precision.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = InterpolationArg::AllPoints)]
    interpolation: InterpolationArg,
    /// Range of the projected gradients at which an SVM has converged.
    #[arg(long, value_name = "X", default_value_t = SvmOptions::default().tolerance)]
    #[arg(allow_hyphen_values = true)]
    tolerance: f64,
    /// Maximum sweeps per SVM.
    #[arg(long, value_name = "N", default_value_t = SvmOptions::default().max_iterations)]
    max_iterations: usize,
    /// Weight of positive images; negative ones have 1.
    #[arg(long, value_name = "X", default_value_t = SvmOptions::default().positive_weight)]
    #[arg(allow_hyphen_values = true)]
    positive_weight: f64,
    /// Also print the average precision of each class, of the most images per class.
    #[arg(long)]
    per_class: bool,
    /// Seed of draws and sweeps.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum DifficultArg {
    /// The class is absent, as in the authors' script.
    Negative,
    /// The image is ignored for the class, as in the VOC devkit.
    Ignored,
}

#[derive(Clone, Copy, ValueEnum)]
enum InterpolationArg {
    /// Area under the curve, as in the authors' script.
    AllPoints,
    /// Recalls 0, 0.1, ..., 1, as in the VOC 2007 devkit.
    ElevenPoints,
}

pub fn run(args: &FewShotArgs) -> Result<ExitCode> {
    args.source.check_outputs(&[], &[])?;
    within("--draws", args.draws, 0..=DRAWS)?;
    let options = FewShotOptions {
        costs: args.costs.clone(),
        shots: if args.only_full { vec![] } else { args.shots.clone() },
        draws: args.draws,
        full: !args.no_full,
        difficult: match args.difficult {
            DifficultArg::Negative => Difficult::Negative,
            DifficultArg::Ignored => Difficult::Ignored,
        },
        interpolation: match args.interpolation {
            InterpolationArg::AllPoints => Interpolation::AllPoints,
            InterpolationArg::ElevenPoints => Interpolation::ElevenPoints,
        },
        svm: SvmOptions {
            positive_weight: args.positive_weight,
            tolerance: args.tolerance,
            max_iterations: args.max_iterations,
            ..SvmOptions::default()
        },
        seed: args.seed,
    };
    options.check()?;
    let (source, result) = on_threads(args.source.output.threads, || {
        let (train, test, source) = args.source.pair(Protocol::FewShot, &args.whitening)?;
        let result = watched("SVMs", |progress| evaluate(train, test, options, progress))?;
        Ok((source, result))
    })?;
    print_source(&source);
    let options = &result.options;
    say!(
        "linear SVMs (squared hinge, class weights {}:{}, tolerance {:e}, at most {} sweeps) on x / \
         (|x| + 1e-5)",
        options.svm.positive_weight,
        options.svm.negative_weight,
        options.svm.tolerance,
        options.svm.max_iterations
    );
    say!(
        "{} training and {} test features of {}, {} of {} classes in the test set; seed {}",
        result.train,
        result.test,
        result.dim,
        result.classes_scored,
        result.classes,
        options.seed
    );
    let difficult = match options.difficult {
        Difficult::Negative => "is negative",
        Difficult::Ignored => "is ignored",
    };
    let interpolation = match options.interpolation {
        Interpolation::AllPoints => "all points",
        Interpolation::ElevenPoints => "eleven points",
    };
    say!("label 0 of [N,C] {difficult}; average precision over {interpolation}");
    say!("images/class  draws     best C   mAP %     sd  top-1 %  not converged");
    for score in &result.scores {
        let best = score.costs.iter().find(|cost| cost.cost == score.best_cost);
        let best = best.expect("one of the costs");
        say!(
            "{:>12}  {:>5}  {:>9}  {:>6.2}  {:>5.2}  {:>7}  {:>13}",
            score.name(),
            score.draws,
            score.best_cost,
            100.0 * score.map,
            100.0 * score.map_sd,
            percent(best.accuracy),
            best.not_converged
        );
    }
    for score in &result.scores {
        if let Some(note) = score.note() {
            say!("{} images/class: {note}", score.name());
        }
    }
    if let (true, Some(score)) = (args.per_class, result.scores.last()) {
        print_score(score);
    }
    args.source.output.save(Protocol::FewShot, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}

fn print_score(score: &ShotScore) {
    let row = |class: &ClassPrecision| {
        let name = class.name.clone().unwrap_or(class.label.to_string());
        let (precision, accuracy) = (percent(class.average_precision), percent(class.accuracy));
        (name, vec![class.images.to_string(), precision, accuracy])
    };
    say!("\nclass by class, {} images/class", score.name());
    print_classes(&["images", "AP %", "accuracy %"], None, score.per_class.iter().map(row));
}
