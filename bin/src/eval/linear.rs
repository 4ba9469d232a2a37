//! `carp eval linear`: a linear classifier on frozen features.

use std::process::ExitCode;

use carp::error::{Error, Result};
use carp::schedule::EpochSchedule;
use clap::{Args, ValueEnum};
use evaluations::all::Protocol;
use evaluations::linear::{
    ClassifierEvent, LinearResult, LinearSettings, ProbeOptimizer, linear_of_backbone,
    linear_of_features,
};
use evaluations::network_file::NetworkName;
use evaluations::trained::CROP_SCALE;

use super::class_args::{ClassArgs, tell_untrained};
use super::classifier::{Screen, number};
use super::feature_source::FeatureSource;
use super::image_source::Labelled;
use super::report::{Source, print_settings};
use super::whiten_args::WhitenArgs;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct LinearArgs {
    #[command(flatten)]
    source: FeatureSource,
    #[command(flatten)]
    whitening: WhitenArgs,
    /// Recipe that sets the defaults of the options below.
    #[arg(long, value_name = "NAME", default_value = "imagenet")]
    recipe: Recipe,
    /// Optimizer of the classifier.
    #[arg(long, value_name = "NAME")]
    optimizer: Option<OptimizerArg>,
    /// Learning rates, one classifier each, trained side by side; not scaled by batch size.
    #[arg(long, value_name = "LR,...", value_delimiter = ',')]
    #[arg(allow_hyphen_values = true)]
    lr: Option<Vec<f64>>,
    /// Momentum.
    #[arg(long, value_name = "X")]
    #[arg(allow_hyphen_values = true)]
    momentum: Option<f64>,
    /// LARS's trust coefficient.
    #[arg(long, value_name = "X")]
    #[arg(allow_hyphen_values = true)]
    trust: Option<f64>,
    /// Weight decay.
    #[arg(long, value_name = "X")]
    #[arg(allow_hyphen_values = true)]
    weight_decay: Option<f64>,
    /// Learning-rate schedule, by epoch.
    #[arg(long, value_name = "NAME")]
    schedule: Option<ScheduleArg>,
    /// Epochs at which multistep lowers the rate [default: 12,18].
    #[arg(long, value_name = "EPOCH,...", value_delimiter = ',')]
    milestones: Option<Vec<usize>>,
    /// Factor by which multistep multiplies the rate [default: 0.1].
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    factor: Option<f64>,
    /// Passes over the training images.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per update.
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Train on this many random images per class.
    #[arg(long, value_name = "K")]
    images_per_class: Option<usize>,
    /// Seed of initial weights, image selection, order and crops.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Preprocess training images like test images, once, instead of cropping anew in every epoch
    /// (always so with features from files, `--network pixels`, `--patches`, `--grid` and `--whiten`).
    #[arg(long, conflicts_with = "crop_scale")]
    no_augment: bool,
    /// Area of a random crop, as a fraction of the image [default: 0.08,1].
    #[arg(long, value_name = "LOW,HIGH", value_parser = super::classifier::low_high)]
    #[arg(allow_hyphen_values = true, conflicts_with_all = ["features", "patches", "grid", "whiten"])]
    crop_scale: Option<(f32, f32)>,
    #[command(flatten)]
    classes: ClassArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Recipe {
    /// LARS, lr 1, cosine, 100 epochs, batch 2048.
    Imagenet,
    /// SGD, lr 0.3, weight decay 1e-6, times 0.1 after 12 and 18 of 20 epochs, batch 256.
    Inat18,
}

#[derive(Clone, Copy, ValueEnum)]
enum OptimizerArg {
    Lars,
    Sgd,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum ScheduleArg {
    Constant,
    Cosine,
    Multistep,
}

impl ScheduleArg {
    /// The schedule, or `multistep`.
    pub fn schedule(self, multistep: EpochSchedule) -> EpochSchedule {
        match self {
            ScheduleArg::Constant => EpochSchedule::Constant,
            ScheduleArg::Cosine => EpochSchedule::Cosine,
            ScheduleArg::Multistep => multistep,
        }
    }
}

/// A schedule with the milestones and the factor that were given.
///
/// # Errors
/// The schedule has none.
pub fn with_steps(
    mut schedule: EpochSchedule,
    given: (&Option<Vec<usize>>, Option<f64>),
) -> Result<EpochSchedule> {
    match (&mut schedule, given) {
        (EpochSchedule::Multistep { milestones, factor }, (epochs, by)) => {
            if let Some(epochs) = epochs {
                milestones.clone_from(epochs);
            }
            *factor = by.unwrap_or(*factor);
        }
        (_, (None, None)) => {}
        _ => {
            let detail = "--milestones and --factor are multistep's: give --schedule multistep";
            return Err(Error::usage(detail.to_owned()));
        }
    }
    Ok(schedule)
}

impl LinearArgs {
    fn settings(&self) -> Result<LinearSettings> {
        let recipe = match self.recipe {
            Recipe::Imagenet => LinearSettings::imagenet(),
            Recipe::Inat18 => LinearSettings::inat18(),
        };
        let schedule = match self.schedule {
            None => recipe.schedule,
            Some(schedule) => schedule.schedule(LinearSettings::inat18().schedule),
        };
        Ok(LinearSettings {
            optimizer: match self.optimizer {
                None => recipe.optimizer,
                Some(OptimizerArg::Lars) => ProbeOptimizer::Lars,
                Some(OptimizerArg::Sgd) => ProbeOptimizer::Sgd,
            },
            lr: self.lr.clone().unwrap_or(recipe.lr),
            momentum: self.momentum.unwrap_or(recipe.momentum),
            trust: self.trust.unwrap_or(recipe.trust),
            weight_decay: self.weight_decay.unwrap_or(recipe.weight_decay),
            schedule: with_steps(schedule, (&self.milestones, self.factor))?,
            epochs: self.epochs.unwrap_or(recipe.epochs),
            batch_size: self.batch_size.unwrap_or(recipe.batch_size),
            images_per_class: self.images_per_class,
            seed: self.seed,
        })
    }
}

pub fn run(args: &LinearArgs) -> Result<ExitCode> {
    args.source.check_outputs(&[&args.classes.confusion], &[])?;
    args.classes.check()?;
    let settings = args.settings()?;
    settings.check()?;
    let mut screen = Screen::new(&settings.lr);
    let measured = on_threads(args.source.output.threads, || measure(args, &settings, &mut screen));
    screen.finish();
    let (source, result) = measured?;
    print(&source, &result);
    tell_untrained(&result.untrained, &result.confusion);
    let best = result.best();
    let settings = format!("lr {}, epoch {}", number(best.lr), best.best.epoch);
    args.classes.show(&result.confusion, &settings)?;
    args.source.output.save(Protocol::Linear, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(
    args: &LinearArgs,
    settings: &LinearSettings,
    screen: &mut Screen,
) -> Result<(Source, LinearResult)> {
    let show = &mut |event: ClassifierEvent| screen.show(event);
    let network = &args.source.images.network;
    let of_backbone = network.network != NetworkName::Pixels
        && !args.whitening.whiten
        && !network.are_made_once();
    if let (Some(checkpoint), true) = (args.source.checkpoint()?, of_backbone) {
        let Labelled { backbone, splits, mut source } =
            args.source.images.labelled(checkpoint, Protocol::Linear)?;
        let crop_scale = (!args.no_augment).then_some(args.crop_scale.unwrap_or(CROP_SCALE));
        source.extend(backbone.described(crop_scale));
        let result = linear_of_backbone(settings, crop_scale, &backbone, &splits, show)?;
        return Ok((source, result));
    }
    if args.crop_scale.is_some() {
        let detail = "--crop-scale needs a network: raw pixels are prepared once";
        return Err(Error::usage(detail.to_owned()));
    }
    let (train, test, source) = args.source.pair(Protocol::Linear, &args.whitening)?;
    let FeatureSource { features, test_features, .. } = &args.source;
    let train_path = features.as_deref().unwrap_or("training images".as_ref());
    let test_path = test_features.as_deref().unwrap_or("test images".as_ref());
    let (train, test) = ((&train, train_path), (&test, test_path));
    let result = linear_of_features(settings, train, test, network.device.open()?, show)?;
    Ok((source, result))
}

fn print(source: &Source, result: &LinearResult) {
    print_settings(source, &result.settings);
    let LinearResult { train_images, test_images, classes, dim, .. } = result;
    say!(
        "{train_images} training images, {test_images} test images, {classes} classes, features of \
         {dim}\n"
    );
    say!(
        "{:>10}  {:>6}  {:>12}  {:>12}  {:>12}  {:>12}",
        "lr",
        "epoch",
        "best top-1 %",
        "best top-5 %",
        "last top-1 %",
        "last top-5 %"
    );
    for (i, head) in result.heads.iter().enumerate() {
        let [best, last] = [head.best, head.last].map(|epoch| epoch.test);
        let mark = if i == result.best_head && result.heads.len() > 1 { "  <- best" } else { "" };
        say!(
            "{:>10}  {:>6}  {:>12.2}  {:>12.2}  {:>12.2}  {:>12.2}{mark}",
            number(head.lr),
            head.best.epoch,
            100.0 * best.top1,
            100.0 * best.top5,
            100.0 * last.top1,
            100.0 * last.top5,
        );
    }
    say!(
        "best: the epoch with the highest top-1 accuracy on the test images, as in the authors' script"
    );
}
