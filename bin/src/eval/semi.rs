//! `carp eval semi`: fine-tuning of the whole network on few labels.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use clap::Args;
use evaluations::all::Protocol;
use evaluations::semi::{KnownLabels, SemiResult, SemiSettings, semi};

use super::class_args::{ClassArgs, tell_untrained};
use super::classifier::Screen;
use super::feature_source::Output;
use super::image_source::{ImageSource, Labelled};
use super::linear::{ScheduleArg, with_steps};
use super::report::print_settings;
use crate::print::say;
use crate::threads::on_threads;

/// The authors published no settings: the defaults are those of SwAV's published script.
#[derive(Args)]
pub struct SemiArgs {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    checkpoint: PathBuf,
    #[command(flatten)]
    images: ImageSource,
    /// Percentage of training labels to use, balanced over classes; it also sets the default
    /// learning rates (SwAV's for 1 % below 3, for 10 % from 3 on).
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    #[arg(allow_hyphen_values = true)]
    percent: f64,
    /// Use the labels of the images listed in this file, one per line, by name (as in SimCLR's
    /// lists) or number.
    #[arg(long, value_name = "FILE", conflicts_with = "percent")]
    list: Option<PathBuf>,
    /// Learning rate of the backbone [default: 0.02 for 1 %, 0.01 for 10 %].
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    lr: Option<f64>,
    /// Learning rate of the classifier [default: 5 for 1 %, 0.2 for 10 %].
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    head_lr: Option<f64>,
    /// Momentum.
    #[arg(long, value_name = "X", default_value_t = SemiSettings::swav(0.1).momentum)]
    #[arg(allow_hyphen_values = true)]
    momentum: f64,
    /// Weight decay of all tensors.
    #[arg(long, value_name = "X", default_value_t = SemiSettings::swav(0.1).weight_decay)]
    #[arg(allow_hyphen_values = true)]
    weight_decay: f64,
    /// Learning-rate schedule, by epoch.
    #[arg(long, value_name = "NAME", default_value = "multistep")]
    schedule: ScheduleArg,
    /// Epochs at which multistep lowers the rates [default: 12,16].
    #[arg(long, value_name = "EPOCH,...", value_delimiter = ',')]
    milestones: Option<Vec<usize>>,
    /// Factor by which multistep multiplies the rates [default: 0.2].
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    factor: Option<f64>,
    /// Passes over the images.
    #[arg(long, value_name = "N", default_value_t = SemiSettings::swav(0.1).epochs)]
    epochs: usize,
    /// Images per update.
    #[arg(long, value_name = "N", default_value_t = SemiSettings::swav(0.1).batch_size)]
    batch_size: usize,
    /// Area of a random crop, as a fraction of the image [default: 0.08,1].
    #[arg(long, value_name = "LOW,HIGH", value_parser = super::classifier::low_high)]
    #[arg(allow_hyphen_values = true)]
    crop_scale: Option<(f32, f32)>,
    /// Seed of image selection, the classifier's initial weights, order and crops.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    classes: ClassArgs,
    #[command(flatten)]
    output: Output,
}

impl SemiArgs {
    /// With a list, `share` is the fraction of the training images in it.
    fn settings(&self, share: f64) -> Result<SemiSettings> {
        let swav = SemiSettings::swav(share);
        let schedule = self.schedule.schedule(swav.schedule);
        Ok(SemiSettings {
            labels: match &self.list {
                Some(path) => KnownLabels::List { path: path.clone() },
                None => swav.labels,
            },
            lr: self.lr.unwrap_or(swav.lr),
            head_lr: self.head_lr.unwrap_or(swav.head_lr),
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            schedule: with_steps(schedule, (&self.milestones, self.factor))?,
            epochs: self.epochs,
            batch_size: self.batch_size,
            crop_scale: self.crop_scale.unwrap_or(swav.crop_scale),
            seed: self.seed,
        })
    }
}

pub fn run(args: &SemiArgs) -> Result<ExitCode> {
    args.output.check(&[&args.classes.confusion], args.list.iter().chain([&args.checkpoint]))?;
    args.classes.check()?;
    args.settings(args.percent / 100.0)?.check()?;
    let (source, result) = on_threads(args.output.threads, || {
        let Labelled { backbone, splits, mut source } =
            args.images.labelled(&args.checkpoint, Protocol::Semi)?;
        let share = match &args.list {
            Some(path) => splits.listed(path)?.len() as f64 / splits.train.len() as f64,
            None => args.percent / 100.0,
        };
        let settings = args.settings(share)?;
        source.extend(backbone.described(Some(settings.crop_scale)));
        let mut screen = Screen::new(&[settings.lr]);
        let result = semi(&settings, &backbone, &splits, &mut |event| screen.show(event));
        screen.finish();
        Ok((source, result?))
    })?;
    print(&source, &result);
    tell_untrained(&result.untrained, &result.confusion);
    args.classes.show(&result.confusion, &format!("epoch {}", result.best.epoch))?;
    args.output.save(Protocol::Semi, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}

fn print(source: &[(&str, String)], result: &SemiResult) {
    print_settings(source, &result.settings);
    let SemiResult { train_images, left_out, test_images, classes, .. } = result;
    say!(
        "{train_images} labelled images ({left_out} left out of each epoch: the last batch would be incomplete), \
         {test_images} test images, {classes} classes"
    );
    say!("defaults from SwAV's published script: CARP's authors published none\n");
    say!("{:>6}  {:>6}  {:>8}  {:>8}", "", "epoch", "top-1 %", "top-5 %");
    for (name, epoch) in [("best", result.best), ("last", result.last)] {
        let (top1, top5) = (100.0 * epoch.test.top1, 100.0 * epoch.test.top5);
        say!("{name:>6}  {:>6}  {top1:>8.2}  {top5:>8.2}", epoch.epoch);
    }
    say!("best: the epoch with the highest top-1 accuracy on the test images");
    let chance = (*classes as f64).ln();
    if let Some(epoch) = result.epochs.iter().find(|epoch| epoch.loss > 2.0 * chance) {
        say!(
            "warning: the loss rose to {:.2} in epoch {}, where guessing gives {chance:.2}: the learning \
             rates are too high for this network; lower --lr and --head-lr",
            epoch.loss,
            epoch.epoch
        );
    }
}
