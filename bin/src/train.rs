//! `carp train`: a run with a progress bar, and its results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autograd::trace::Recomputed;
use carp::error::{Error, Result};
use carp::run_folder::RunFolder;
use carp::run_result::RunResult;
use carp::train::{Monitor, Outcome, TrainEvent, train};
use carp::trainer::Trainer;
use clap::Args;
use evaluations::online_knn::OnlineKnn;
use files::check_output_folder;
use indicatif::ProgressBar;

use crate::bars::message_bar;
use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::print::{say, try_print};
use crate::stop::{Ending, Stop};
use crate::threads::on_threads;
use crate::verify::write_op;

#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Run folder [default: the next free runs/NAME-N].
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Resume the run in this folder, with its settings.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "method", "sets", "data", "strict", "loss_variant", "fuse", "conv", "numerics", "digest"])]
    resume: Option<PathBuf>,
}

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let folder = args.resume.as_deref().or(args.out.as_deref());
    check_output_folder(folder.unwrap_or(Path::new("runs")))?;
    let mut earlier = args.resume.as_deref().map(RunFolder::open).transpose()?;
    if let Some((_, _, Some(line))) = &earlier {
        say!("warning: {line}");
    }
    if let Some((folder, checkpoint, _)) = &mut earlier
        && let Some(result) = folder.result(checkpoint)?
    {
        say!("{} has already finished", folder.path().display());
        print_result(&result);
        return Ok(ExitCode::SUCCESS);
    }
    let config = match &earlier {
        Some((_, checkpoint, _)) => args.config.over(checkpoint.config()?),
        None => args.config.load()?,
    };
    let device = &args.device.open_with(config.train.numerics)?;
    let stop = Stop::new(Ending::AtOnce {
        line: "stopped before the first step: there is nothing to save".to_owned(),
        is_saved: args.resume.is_some(),
    });
    stop.on_signals()?;
    let mut screen = Screen { bar: ProgressBar::hidden(), stop: &stop, folder: PathBuf::new() };
    let outcome = on_threads(config.train.threads, || {
        let mut trainer = Trainer::planned(&config, device)?;
        let executor = trainer.learner().executor();
        let mebibytes = executor.plan().bytes() as f64 / f64::from(1 << 20);
        screen.line(&format!("one step needs {mebibytes:.1} MiB, planned in advance"));
        if let Some(recomputed) = Recomputed::of(executor.graph()) {
            screen.line(&format!("to keep to the memory budget, {recomputed}"));
        }
        trainer.initialize();
        let mut knn = OnlineKnn::new(&config, trainer.splits(), device)?;
        if knn.is_none() && trainer.splits().test.is_some() {
            screen.line("warning: no labelled images are held out: k-NN accuracy is not measured");
        }
        // Created last: a run that cannot start leaves nothing behind.
        let (folder, resume) = match earlier {
            Some((folder, checkpoint, _)) => (folder, Some(checkpoint)),
            None => {
                let name = args.config.preset_name();
                (RunFolder::create(args.out.as_deref(), &name, &config)?, None)
            }
        };
        screen.folder = folder.path().to_owned();
        screen.line(&format!("run folder: {}", folder.path().display()));
        let monitor = knn.as_mut().map(|knn| knn as &mut dyn Monitor);
        let show = &mut |event: TrainEvent| screen.show(event);
        train(trainer, monitor, folder, resume, &|| stop.is_asked(), show)
    });
    screen.bar.finish_and_clear();
    if let Err(Error::NonFinite { op: Some(op), .. }) = &outcome {
        write_op(&screen.folder.join("non-finite.safetensors"), op);
    }
    match outcome? {
        Outcome::Finished(result) => {
            print_result(&result);
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { step } => {
            stop.tell(&stopped(step, &screen.folder));
            Ok(stop.exit_code())
        }
    }
}

fn stopped(step: usize, folder: &Path) -> String {
    format!("stopped after step {step}; resume with: carp train --resume {}", folder.display())
}

/// The terminal during a run.
struct Screen<'a> {
    bar: ProgressBar,
    stop: &'a Stop,
    folder: PathBuf,
}

impl Screen<'_> {
    fn show(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Start { first_step, steps } => {
                self.bar = message_bar(steps).with_position(first_step as u64);
                self.bar.reset_eta();
                self.stop.above(self.bar.clone());
            }
            TrainEvent::Measure { step, is_saved: true } => {
                let line = stopped(step, &self.folder);
                self.stop.ends(Ending::AtOnce { line, is_saved: true });
            }
            TrainEvent::Measure { .. } => self.stop.ends(Ending::After("k-NN and one step")),
            TrainEvent::Knn { step, accuracy } => {
                self.line(&format!("step {step:>6}: k-NN accuracy {:.2} %", 100.0 * accuracy));
            }
            TrainEvent::EpochWork { done, all } => {
                self.stop.ends(Ending::After("the work before this epoch and one step"));
                self.bar.set_message(format!("before the epoch: {done} of {all}"));
            }
            TrainEvent::Step(metrics) => {
                self.stop.ends(Ending::After("this step"));
                self.bar.set_position(metrics.step as u64);
                let parts = match (metrics.consistency, metrics.entropy) {
                    (Some(c), Some(h)) => format!(" = consistency {c:.3} + entropy {h:.3}"),
                    _ => String::new(),
                };
                self.bar.set_message(format!(
                    "loss {:.3}{parts}  {:.0} images/s  waiting {:.0} %",
                    metrics.loss,
                    metrics.images_per_second,
                    100.0 * metrics.waiting
                ));
                // Without a terminal there is no bar: print a line now and then.
                if self.bar.is_hidden() && metrics.step % 50 == 0 {
                    self.line(&format!("step {:>6}: {}", metrics.step, self.bar.message()));
                }
            }
            TrainEvent::Warning(line) => self.line(&format!("warning: {line}")),
        }
    }

    /// A line above the bar. Where nobody reads it any more the run stops, but saves first.
    fn line(&self, line: &str) {
        if !self.bar.is_hidden() {
            self.bar.println(line);
        } else if try_print(&format!("{line}\n")).is_err() {
            self.stop.closed_pipe();
        }
    }
}

fn print_result(result: &RunResult) {
    let percent = |accuracy: Option<f64>| match accuracy {
        Some(accuracy) => format!("{:.2} %", 100.0 * accuracy),
        None => "not measured".to_owned(),
    };
    say!("k-NN accuracy of raw pixels       {}", percent(result.knn_pixels));
    say!("k-NN accuracy before training     {}", percent(result.knn_before));
    say!("k-NN accuracy after training      {}", percent(result.knn_after));
    say!(
        "{} steps in {:.1} s, {:.0} images/s",
        result.steps,
        result.seconds,
        result.images_per_second
    );
    say!("SHA-256 of the weights: {}", result.weights_sha256);
}
