//! Trains and evaluates one run after another, each in a folder of its own.

use std::path::Path;

use carp::config::Config;
use carp::error::{Error, Result};
use carp::kept_checkpoints::checkpoint_of;
use carp::learner::Device;
use carp::run_folder::RunFolder;
use carp::run_result::RunResult;
use carp::train::{Monitor, Outcome, TrainEvent, train};
use carp::trainer::Trainer;
use datasets::DataConfig;
use evaluations::online_knn::OnlineKnn;
use files::write_atomically;

use crate::curve::{Point, Recorded};
use crate::evaluate::{TestedOn, evaluate};
use crate::plan::{Plan, Planned, Request};
use crate::report::{Report, Row, RunReport};
use crate::setting::Setting;
use crate::table::markdown;

/// Part of the training images that is held out where nothing else is said: one in so many.
const HELD_OUT: usize = 10;

/// Progress events of a comparison.
#[derive(Debug)]
pub enum Event<'a> {
    /// The steps of a setting will be timed or planned.
    Plan(&'a Setting),
    /// A run begins, or goes on.
    Run {
        /// Its number, from 1.
        number: usize,
        /// All there are.
        runs: usize,
        /// Its setting.
        setting: &'a Setting,
        /// Its seed.
        seed: u64,
    },
    /// It trains.
    Train(TrainEvent<'a>),
    /// It has ended and will be evaluated.
    Evaluate,
    /// It is evaluated.
    Done(&'a RunReport),
    /// It has ended without a result, for this reason.
    Failed(&'a str),
}

/// The data with a part held out of training, to choose settings by: as many as it says, or a tenth.
///
/// # Errors
/// Data that cannot be opened, or that has no labels.
pub fn with_held_out(data: &DataConfig, seed: u64) -> Result<DataConfig> {
    let held_out = match data.held_out {
        0 => (data.size(seed)?.train / HELD_OUT).max(1),
        count => count,
    };
    Ok(DataConfig { held_out, ..data.clone() })
}

/// Trains and evaluates all that is asked for, in `folder`: runs that have ended are not repeated,
/// one that was stopped goes on. The report is written there after each run; `None` if `stop` became
/// true before the last one.
///
/// # Errors
/// As [`Plan::make`]; data that cannot be read or have no labels; I/O errors. A run with numbers that
/// are not finite is a failure in the report, and the others go on.
pub fn compare(
    (request, tested_on): (&Request, TestedOn),
    folder: &Path,
    device: Device,
    stop: &dyn Fn() -> bool,
    show: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<Report>> {
    let plan = Plan::make(request, folder, device, &mut |setting| show(Event::Plan(setting)))?;
    let Some(first) = plan.settings.first().map(|planned| &planned.config) else {
        return Err(Error::usage("no settings to compare"));
    };
    let mut report = Report {
        data: first.data.open(first.seed)?.pretrain.name().to_owned(),
        tested_on,
        held_out: first.data.held_out,
        budget: plan.budget,
        rows: plan.settings.iter().map(|p| Row::new(p.setting.clone(), p.steps)).collect(),
    };
    let runs = plan.settings.len() * request.seeds as usize;
    for number in 0..runs {
        // Seed by seed, so that a comparison that is stopped has something of each setting.
        let (seed, place) = (number / plan.settings.len(), number % plan.settings.len());
        let planned = &plan.settings[place];
        let seed = planned.config.seed + seed as u64;
        let config = Config { seed, ..planned.config.clone() };
        let run = folder.join(&planned.setting.name).join(format!("seed-{seed}"));
        let setting = &planned.setting;
        show(Event::Run { number: number + 1, runs, setting, seed });
        let row = &mut report.rows[place];
        match ended(&config, &run, device, stop, show)? {
            None => return Ok(None),
            Some(Err(line)) => {
                show(Event::Failed(&line));
                row.failures.push(line);
            }
            Some(Ok(result)) => {
                show(Event::Evaluate);
                let run = reported(planned, (&config, &result), (&run, tested_on), device)?;
                show(Event::Done(&run));
                row.add(run);
            }
        }
        save(&report, folder)?;
    }
    Ok(Some(report))
}

/// Trains a run to its end: its result, or in one line why it has none. `None` if it was stopped.
fn ended(
    config: &Config,
    path: &Path,
    device: Device,
    stop: &dyn Fn() -> bool,
    show: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<std::result::Result<RunResult, String>>> {
    let failure = path.join("failure.txt");
    if let Ok(line) = std::fs::read_to_string(&failure) {
        return Ok(Some(Err(line.trim_end().to_owned())));
    }
    match result(config, path, device, stop, show) {
        Ok(result) => Ok(result.map(Ok)),
        Err(error @ (Error::NonFinite { .. } | Error::NonFiniteWeight { .. })) => {
            let line = error.to_string();
            write_atomically(&failure, format!("{line}\n").as_bytes())?;
            Ok(Some(Err(line)))
        }
        Err(error) => Err(error),
    }
}

fn result(
    config: &Config,
    path: &Path,
    device: Device,
    stop: &dyn Fn() -> bool,
    show: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RunResult>> {
    let mut earlier = None;
    if checkpoint_of(path).exists() {
        let (folder, mut checkpoint, warning) = RunFolder::open(path)?;
        if let Some(line) = warning {
            show(Event::Train(TrainEvent::Warning(line)));
        }
        if let Some(key) = config.differing_keys(&checkpoint.config()?).first() {
            return Err(Error::data(path, format!("is a run with another {key}: remove it")));
        }
        if let Some(result) = folder.result(&mut checkpoint)? {
            return Ok(Some(result));
        }
        earlier = Some((folder, Some(checkpoint)));
    }
    if stop() {
        return Ok(None);
    }
    let trainer = Trainer::new(config, device)?;
    let mut knn = OnlineKnn::new(config, trainer.splits(), device)?;
    let (folder, resume) = match earlier {
        Some(earlier) => earlier,
        None => (RunFolder::create(Some(path), "", config)?, None),
    };
    let monitor = knn.as_mut().map(|knn| knn as &mut dyn Monitor);
    let show = &mut |event: TrainEvent| show(Event::Train(event));
    match train(trainer, monitor, Some(folder), resume, stop, show)? {
        Outcome::Finished(result) => Ok(Some(result)),
        Outcome::Stopped { .. } => Ok(None),
    }
}

fn reported(
    planned: &Planned,
    (config, result): (&Config, &RunResult),
    (path, tested_on): (&Path, TestedOn),
    device: Device,
) -> Result<RunReport> {
    let scores = evaluate(path, &result.weights_sha256, (config, tested_on), device)?;
    let recorded = Recorded::read(path, config.train.batch_size)?;
    let first = result.knn_before.map(|knn| Point { step: 0, seconds: 0.0, knn });
    Ok(RunReport {
        seed: config.seed,
        epochs: result.steps as f64 / planned.steps_per_epoch as f64,
        passes: planned.passes,
        seconds: result.seconds,
        images_per_second: result.images_per_second,
        planned_peak_bytes: result.planned_peak_bytes,
        scores,
        diversity: recorded.diversity,
        curve: first.into_iter().chain(recorded.curve).collect(),
    })
}

/// Writes the report as JSON and as Markdown.
fn save(report: &Report, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report).expect("plain numbers and names") + "\n";
    write_atomically(&report.file(folder, "json"), json.as_bytes())?;
    Ok(write_atomically(&report.file(folder, "md"), markdown(report).as_bytes())?)
}
