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

use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::print::say;
use crate::shown_run::{ShownArgs, ShownRun};
use crate::stop::{Ending, Stop};
use crate::threads::on_threads;
use crate::train_screen::TrainScreen;
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
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "method", "sets", "data", "strict", "loss_variant", "fuse", "conv", "numerics", "digest", "shards"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    shown: ShownArgs,
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
    let mut screen = TrainScreen::new(&stop);
    let mut path = PathBuf::new();
    let mut shown = None;
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
        folder.path().clone_into(&mut path);
        screen.resume_with(format!("carp train --resume {}", path.display()));
        screen.line(&format!("run folder: {}", path.display()));
        let monitor = knn.as_mut().map(|knn| knn as &mut dyn Monitor);
        let shown = shown.insert(ShownRun::new(args.shown, path.clone(), device));
        let show = &mut |event: TrainEvent| {
            if let Err(error) = shown.record(&event) {
                screen.line(&format!("warning: {error}"));
            }
            screen.show(event);
        };
        train(trainer, monitor, folder, resume, &|| stop.is_asked(), show)
    });
    screen.finish();
    if let Err(Error::NonFinite { op: Some(op), .. }) = &outcome {
        write_op(&path.join("non-finite.safetensors"), op);
    }
    match outcome? {
        Outcome::Finished(result) => {
            print_result(&result);
            on_threads(config.train.threads, || shown.map_or(Ok(()), |shown| shown.finish()))?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { step } => {
            stop.tell(&screen.stopped(step));
            Ok(stop.exit_code())
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
