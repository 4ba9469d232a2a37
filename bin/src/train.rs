//! `carp train`: a run with a progress bar, and its results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carp::checkpoint::Checkpoint;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::run_folder::{RunFolder, RunResult, checkpoint_path};
use carp::train::{Monitor, Outcome, TrainEvent, Trainer, train};
use clap::Args;
use evaluations::online_knn::OnlineKnn;
use files::check_output_folder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::threads::on_threads;

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
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "sets", "data", "strict"])]
    resume: Option<PathBuf>,
}

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let folder = args.resume.as_deref().or(args.out.as_deref());
    check_output_folder(folder.unwrap_or(Path::new("runs")))?;
    let device = args.device.open()?;
    let (config, resume) = match &args.resume {
        Some(path) => {
            let checkpoint = Checkpoint::load(&checkpoint_path(path))?;
            (checkpoint.config()?, Some(checkpoint))
        }
        None => (args.config.load()?, None),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))
        .map_err(|error| Error::usage(format!("cannot listen for Ctrl-C: {error}")))?;

    let mut screen = Screen::default();
    let outcome = on_threads(config.train.threads, || {
        let trainer = Trainer::new(&config, &device)?;
        let mut knn = OnlineKnn::new(&config, trainer.splits(), &device)?;
        // Created last: a run that cannot start leaves nothing behind.
        let folder = open_folder(args, &config, resume.as_ref())?;
        let path = folder.path().to_owned();
        println!("run folder: {}", path.display());
        let monitor = knn.as_mut().map(|knn| knn as &mut dyn Monitor);
        let show = &mut |event: TrainEvent| screen.show(event);
        Ok((train(trainer, monitor, folder, resume.as_ref(), &stop, show)?, path))
    });
    screen.bar.finish_and_clear();
    let (outcome, path) = outcome?;
    match outcome {
        Outcome::Finished(result) => print_result(&result),
        Outcome::Stopped { step } => {
            println!(
                "stopped after step {step}; resume with: carp train --resume {}",
                path.display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A new folder, or that of the run to resume.
fn open_folder(
    args: &TrainArgs,
    config: &Config,
    resume: Option<&Checkpoint>,
) -> Result<RunFolder> {
    match (&args.resume, resume) {
        (Some(path), Some(checkpoint)) => RunFolder::reopen(path, checkpoint.progress()?),
        _ => RunFolder::create(args.out.as_deref(), &args.config.preset_name(), config),
    }
}

/// The terminal during a run.
struct Screen {
    bar: ProgressBar,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen { bar: ProgressBar::hidden() }
    }
}

impl Screen {
    fn show(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Start { first_step, steps, planned_bytes } => {
                let mebibytes = planned_bytes as f64 / f64::from(1 << 20);
                self.line(&format!("one step needs {mebibytes:.1} MiB, planned in advance"));
                self.bar = ProgressBar::new(steps as u64).with_position(first_step as u64);
                self.bar.reset_eta();
                let style = "{bar:24} {pos}/{len}  {msg}  ETA {eta}";
                self.bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
            }
            TrainEvent::Knn { step, accuracy } => {
                self.line(&format!("step {step:>6}: k-NN accuracy {:.2} %", 100.0 * accuracy));
            }
            TrainEvent::Step(metrics) => {
                self.bar.set_position(metrics.step as u64);
                self.bar.set_message(format!(
                    "loss {:.3} = consistency {:.3} + entropy {:.3}  {:.0} images/s  waiting \
                     {:.0} %",
                    metrics.loss,
                    metrics.consistency,
                    metrics.entropy,
                    metrics.images_per_second,
                    100.0 * metrics.waiting
                ));
                // Without a terminal there is no bar: print a line now and then.
                if self.bar.is_hidden() && metrics.step % 50 == 0 {
                    println!("step {:>6}: {}", metrics.step, self.bar.message());
                }
            }
            TrainEvent::Warning(line) => self.line(&format!("warning: {line}")),
        }
    }

    fn line(&self, line: &str) {
        if self.bar.is_hidden() {
            println!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

fn print_result(result: &RunResult) {
    let percent = |accuracy: Option<f64>| match accuracy {
        Some(accuracy) => format!("{:.2} %", 100.0 * accuracy),
        None => "no labels".to_owned(),
    };
    println!("k-NN accuracy of raw pixels       {}", percent(result.knn_pixels));
    println!("k-NN accuracy before training     {}", percent(result.knn_before));
    println!("k-NN accuracy after training      {}", percent(result.knn_after));
    println!(
        "{} steps in {:.1} s, {:.0} images/s",
        result.steps, result.seconds, result.images_per_second
    );
    println!("SHA-256 of the weights: {}", result.weights_sha256);
}
