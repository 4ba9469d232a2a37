//! `carp train`: a run with a progress bar, and its results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use autograd::Transport;
use autograd::trace::Recomputed;
use carp::checkpoint::Checkpoint;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::ranks::{agree, share_text};
use carp::run_folder::RunFolder;
use carp::run_result::RunResult;
use carp::run_settings;
use carp::train::{Monitor, Outcome, TrainEvent, train};
use carp::trainer::Trainer;
use clap::Args;
use evaluations::online_knn::OnlineKnn;
use files::check_output_folder;

use crate::config_args::ConfigArgs;
use crate::counted::counted;
use crate::device::DeviceArgs;
use crate::print::say;
use crate::ranks;
use crate::run_memory::open_data;
use crate::run_path::check_run_folder;
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
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "method", "sets", "data", "strict", "loss_variant", "fuse", "conv", "numerics", "digest", "shards", "threads"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    shown: ShownArgs,
}

/// What the first rank knows before the others.
enum Start {
    /// The run to resume has ended.
    Ended,
    New(Config),
    Resumed(Config, Box<(RunFolder, Checkpoint)>),
}

impl Start {
    fn of(args: &TrainArgs) -> Result<Start> {
        args.resume.as_deref().map_or(Ok(()), check_run_folder)?;
        let folder = args.resume.as_deref().or(args.out.as_deref());
        check_output_folder(folder.unwrap_or(Path::new("runs")))?;
        let Some(path) = &args.resume else { return Ok(Start::New(args.config.load()?)) };
        let (folder, mut checkpoint, warning) = RunFolder::open(path)?;
        let (config, other) = run_settings::of(path, &checkpoint)?;
        for line in warning.into_iter().chain(other) {
            say!("warning: {line}");
        }
        if let Some(result) = folder.result(&mut checkpoint)? {
            say!("{} has already finished", folder.path().display());
            print_result(&result);
            return Ok(Start::Ended);
        }
        let config = args.config.over(config);
        Ok(Start::Resumed(config, Box::new((folder, checkpoint))))
    }

    fn config(&self) -> Option<&Config> {
        match self {
            Start::Ended => None,
            Start::New(config) | Start::Resumed(config, _) => Some(config),
        }
    }
}

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    ranks::run_as(&ranks::join()?, |ranks| train_as(args, ranks))
}

/// Trains as one of the ranks. The first one has the run's folder, and shows the run.
fn train_as(args: &TrainArgs, ranks: &Arc<dyn Transport>) -> Result<ExitCode> {
    let start = (ranks.rank() == 0).then(|| Start::of(args)).transpose();
    let start = agree(&**ranks, start)?;
    let settings = start.as_ref().and_then(Start::config).map_or(String::new(), Config::to_toml);
    let settings = share_text(&**ranks, settings)?;
    if settings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (config, earlier) = match start {
        Some(Start::Resumed(config, earlier)) => (config, Some(*earlier)),
        Some(Start::New(config)) => (config, None),
        _ => (Config::parse(&settings, "the settings of the first rank")?, None),
    };
    let device = args.device.of_rank(ranks.local_rank()).open_with(config.train.numerics);
    let device = &agree(&**ranks, device)?;
    let ending = Ending::AtOnce {
        line: "stopped before the first step: there is nothing to save".to_owned(),
        is_saved: args.resume.is_some(),
    };
    let stop = Stop::among(&**ranks, ending);
    stop.on_signals()?;
    let mut screen = TrainScreen::of_rank(ranks.rank(), &stop);
    let mut path = PathBuf::new();
    let mut shown = None;
    let outcome = on_threads(config.train.threads, || {
        let splits = open_data(&config, ranks.size(), device);
        let splits = agree(&**ranks, splits)?;
        let trainer = Trainer::with_data(&config, splits, device, Arc::clone(ranks));
        let mut trainer = agree(&**ranks, trainer)?;
        let executor = trainer.learner().executor();
        let mebibytes = executor.plan().bytes() as f64 / f64::from(1 << 20);
        screen.line(&format!("one step needs {mebibytes:.1} MiB, planned in advance"));
        if let Some(recomputed) = Recomputed::of(executor.graph()) {
            screen.line(&format!("to keep to the memory budget, {recomputed}"));
        }
        trainer.initialize();
        let knn = OnlineKnn::among(&config, trainer.splits(), device, Arc::clone(ranks));
        let mut knn = agree(&**ranks, knn)?;
        if knn.is_none() && trainer.splits().test.is_some() {
            screen.line("warning: no labelled images are held out: k-NN accuracy is not measured");
        }
        let monitor = knn.as_mut().map(|knn| knn as &mut dyn Monitor);
        if ranks.rank() > 0 {
            let show = &mut |event: TrainEvent| screen.show(event);
            return train(trainer, monitor, None, None, &|| stop.is_asked(), show);
        }
        // Created last: a run that cannot start leaves nothing behind.
        let (folder, resume) = match earlier {
            Some((folder, checkpoint)) => (folder, Some(checkpoint)),
            None => {
                let name = args.config.preset_name();
                (RunFolder::create(args.out.as_deref(), &name, &config)?, None)
            }
        };
        folder.path().clone_into(&mut path);
        screen.resume_with(format!("carp train --resume {}", path.display()));
        screen.line(&format!("run folder: {}", path.display()));
        let shown = shown.insert(ShownRun::new(args.shown, path.clone(), device));
        let show = &mut |event: TrainEvent| {
            if let Err(error) = shown.record(&event) {
                screen.line(&format!("warning: {error}"));
            }
            screen.show(event);
        };
        train(trainer, monitor, Some(folder), resume, &|| stop.is_asked(), show)
    });
    screen.finish();
    if let Err(Error::NonFinite { op: Some(op), .. }) = &outcome
        && ranks.rank() == 0
    {
        write_op(&path.join("non-finite.safetensors"), op);
    }
    match outcome? {
        Outcome::Finished(_) if ranks.rank() > 0 => Ok(ExitCode::SUCCESS),
        Outcome::Finished(result) => {
            print_result(&result);
            on_threads(config.train.threads, || shown.map_or(Ok(()), |shown| shown.finish()))?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Stopped { step } => {
            let signals = ranks.gather(stop.signal() as f32)?;
            stop.adopt(signals.into_iter().fold(0, |most, signal| most.max(signal as usize)));
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
        "{} in {:.1} s, {:.0} images/s",
        counted(result.steps, "step"),
        result.seconds,
        result.images_per_second
    );
    say!("SHA-256 of the weights: {}", result.weights_sha256);
}
