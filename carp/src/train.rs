//! The training loop (docs/method.md, 1.7).

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use autograd::Transport;

use crate::anomaly::find_op;
use crate::checkpoint::{Checkpoint, Progress};
use crate::collapse::CollapseWatch;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::ranks::{restore, share_text};
use crate::run_folder::RunFolder;
use crate::run_result::{RunResult, peak_rss_bytes};
use crate::step_digest::step_digest;
use crate::tensor_source::TensorSource;
use crate::trainer::Trainer;

/// Progress events of a run.
#[derive(Debug)]
pub enum TrainEvent<'a> {
    /// Before the first step.
    Start {
        /// First step: above 0 in a resumed run.
        first_step: usize,
        /// Total steps.
        steps: usize,
        /// CARP's loss is C + H, and not C alone.
        entropy_term: bool,
    },
    /// k-NN accuracy will be measured.
    Measure {
        /// Steps done.
        step: usize,
        /// A checkpoint of these steps is written, or none is needed.
        is_saved: bool,
    },
    /// k-NN accuracy was measured.
    Knn {
        /// Steps done.
        step: usize,
        /// Fraction of queries classified correctly.
        accuracy: f64,
    },
    /// A part of the method's work before an epoch is done.
    EpochWork {
        /// How much.
        done: usize,
        /// Of how much.
        all: usize,
    },
    /// A step is done.
    Step(&'a Metrics),
    /// A checkpoint was written.
    Saved,
    /// A one-line warning.
    Warning(String),
}

/// Measures the evaluated backbone by k-NN before, during and after a run. The caller provides it:
/// evaluating features is not part of the method.
pub trait Monitor {
    /// k-NN accuracy of a backbone's features on held-out images, as a fraction; `tensor` gives its
    /// tensors by torchvision's names, in this project's layout.
    ///
    /// # Errors
    /// An image that cannot be read.
    fn knn(&mut self, tensor: &mut dyn FnMut(&str) -> Option<Vec<f32>>) -> Result<f64>;

    /// The same fraction for raw pixels; none if there are too many of them.
    ///
    /// # Errors
    /// An image that cannot be read.
    fn knn_of_pixels(&mut self) -> Result<Option<f64>>;

    /// Draws the first and the last measurement, in the run's folder.
    ///
    /// # Errors
    /// An image that cannot be read, or a file that cannot be written.
    fn draw(&mut self, folder: &Path) -> Result<()>;
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps are done; `result.json` is written.
    Finished(RunResult),
    /// The user stopped it; the checkpoint is written.
    Stopped {
        /// Steps done.
        step: usize,
    },
}

/// Steps from one look at prototypes and features to the next; the first and the last step have one.
const OBSERVED_EVERY: usize = 100;

/// Trains to the end and writes everything into `folder`. `resume` continues from a checkpoint in
/// that folder. Without labelled data there is no `monitor`. Once `stop` is true, the run ends after
/// the current step, or before the last measurement.
///
/// Of ranks, each calls this; the first has folder and checkpoint for all. They end after the same
/// step, once one of them is to stop.
///
/// # Errors
/// Invalid data or files. A number that is not finite: names the op that made the first one, even if
/// it showed only later.
pub fn train<'a>(
    trainer: Trainer<'a>,
    monitor: Option<&'a mut dyn Monitor>,
    folder: Option<RunFolder>,
    resume: Option<Checkpoint>,
    stop: &'a dyn Fn() -> bool,
    show: &'a mut (dyn FnMut(TrainEvent) + Send),
) -> Result<Outcome> {
    let (data, ranks) = (Fingerprint::of(trainer.splits())?, trainer.transport());
    let mut run = Run { trainer, monitor, folder, data, ranks, stop, show };
    match run.train(resume) {
        Err(error @ (Error::NonFinite { op: None, .. } | Error::NonFiniteWeight { .. })) => {
            let line =
                format!("{error}; repeats the steps since the last checkpoint to find the op");
            run.warn(line);
            Err(find_op(&mut run.trainer, run.folder.as_ref(), stop)?.unwrap_or(error))
        }
        outcome => outcome,
    }
}

/// A run with all that it writes to and asks.
struct Run<'a> {
    trainer: Trainer<'a>,
    monitor: Option<&'a mut dyn Monitor>,
    folder: Option<RunFolder>,
    data: Fingerprint,
    ranks: Arc<dyn Transport>,
    stop: &'a dyn Fn() -> bool,
    show: &'a mut (dyn FnMut(TrainEvent) + Send),
}

impl Run<'_> {
    fn train(&mut self, resume: Option<Checkpoint>) -> Result<Outcome> {
        let config = self.trainer.config();
        check_same(&self.data, &*self.ranks)?;
        self.trainer.learner().executor_mut().link()?;
        let warning = resume.as_ref().map(|checkpoint| checkpoint.check_data(&self.data));
        if let Some(line) = warning.transpose()?.flatten() {
            self.warn(line);
        }
        // The initial weights are a function of the seed: a resumed run measures them anew.
        let knn_before = self.measure()?;
        let mut progress = restore(self.trainer.learner(), resume)?;
        if let (Some(folder), 1..) = (&mut self.folder, progress.step) {
            folder.rewind(progress)?;
        }
        let (first_step, steps) = (progress.step, self.trainer.steps());
        let mut saved = first_step;
        let entropy_term = config.model.entropy_term;
        (self.show)(TrainEvent::Start { first_step, steps, entropy_term });
        if let Some(accuracy) = knn_before {
            (self.show)(TrainEvent::Knn { step: 0, accuracy });
        }

        let mut pipeline = self.trainer.pipeline(first_step)?;
        let mut watch = CollapseWatch::new(config.model.partition_size);
        for step in first_step..steps {
            // At the start of the next step: a run that stopped before it measured does so on its resume.
            if step > 0 && self.trainer.is_due(config.knn.every_epochs, progress) {
                (self.show)(TrainEvent::Measure { step, is_saved: saved == step });
                self.measure_and_record(step)?;
            }
            progress = self.step(progress, &mut pipeline, &mut watch)?;
            let is_due = self.trainer.is_due(config.train.checkpoint_every_epochs, progress);
            if self.is_asked_to_stop()? || is_due || progress.step == steps {
                self.save(progress)?;
                saved = progress.step;
            }
            if saved == progress.step && self.is_asked_to_stop()? {
                return Ok(Outcome::Stopped { step: saved });
            }
        }
        drop(pipeline);

        (self.show)(TrainEvent::Measure { step: steps, is_saved: true });
        if self.is_asked_to_stop()? {
            return Ok(Outcome::Stopped { step: steps });
        }
        self.finish(knn_before, progress).map(Outcome::Finished)
    }

    /// One step with its line in the metrics, and the progress after it.
    fn step(
        &mut self,
        before: Progress,
        pipeline: &mut Pipeline,
        watch: &mut CollapseWatch,
    ) -> Result<Progress> {
        let (step, trainer) = (before.step, &mut self.trainer);
        let start = Instant::now();
        start_epoch(trainer, step, self.show)?;
        let (batch, next) = pipeline.next_batches()?;
        let is_observed = step.is_multiple_of(OBSERVED_EVERY) || step + 1 == trainer.steps();
        let (terms, diversity) = if is_observed {
            trainer.observed_step(step, batch)?
        } else {
            (trainer.step_before(step, batch, next)?, None)
        };
        let waited = pipeline.take_waited();
        let elapsed = start.elapsed();
        let mut metrics = trainer.metrics(step, terms, elapsed, waited);
        metrics.diversity = diversity;
        if trainer.config().train.digest && self.folder.is_some() {
            metrics.digest = Some(step_digest(terms, &trainer.weights_sha256()));
        }
        // First, since who sees the line in the file takes the step for done.
        (self.show)(TrainEvent::Step(&metrics));
        if let Some(folder) = &mut self.folder {
            folder.append(&metrics)?;
        }
        let lines = [watch.observe(terms), diversity.and_then(|diversity| watch.look(diversity))];
        lines.into_iter().flatten().for_each(|line| self.warn(line));
        Ok(Progress { step: step + 1, seconds: before.seconds + elapsed.as_secs_f64() })
    }

    fn save(&mut self, progress: Progress) -> Result<()> {
        let config = self.trainer.config();
        let learner = self.trainer.learner();
        check_finite(learner, progress.step)?;
        if let Some(folder) = &mut self.folder {
            folder.save_checkpoint(config, &self.data, learner, progress)?;
        }
        (self.show)(TrainEvent::Saved);
        Ok(())
    }

    /// The last measurement, and the result with its picture.
    fn finish(&mut self, knn_before: Option<f64>, progress: Progress) -> Result<RunResult> {
        let Progress { step: steps, seconds } = progress;
        let knn_after = self.measure_and_record(steps)?;
        let mut knn_pixels = None;
        if let Some(monitor) = &mut self.monitor {
            knn_pixels = monitor.knn_of_pixels()?;
            // A result without its picture is worth more than none.
            if let Some(folder) = &self.folder
                && let Err(error) = monitor.draw(folder.path())
            {
                self.warn(format!("no picture of the neighbours: {error}"));
            }
        }
        let trainer = &mut self.trainer;
        // In many epochs each rank meets most images.
        let skipped = self.ranks.gather(trainer.splits().pretrain.skipped() as f32)?;
        let skipped = skipped.into_iter().fold(0.0, f32::max);
        let images = (steps * trainer.config().train.batch_size) as f64;
        let result = RunResult {
            knn_before,
            knn_after,
            knn_pixels,
            weights_sha256: trainer.weights_sha256(),
            steps,
            seconds,
            images_per_second: images / seconds,
            planned_peak_bytes: trainer.learner().executor().plan().bytes(),
            peak_rss_bytes: peak_rss_bytes(),
        };
        if skipped > 0.0 {
            self.warn(format!("unreadable images skipped: {skipped}"));
        }
        if let Some(folder) = &self.folder {
            folder.write_result(&result)?;
        }
        Ok(result)
    }

    fn measure(&mut self) -> Result<Option<f64>> {
        let learner = self.trainer.learner();
        let monitor = self.monitor.as_mut();
        monitor.map(|monitor| monitor.knn(&mut |name| learner.backbone(name))).transpose()
    }

    fn measure_and_record(&mut self, step: usize) -> Result<Option<f64>> {
        let measured = self.measure()?;
        if let Some(accuracy) = measured {
            if let Some(folder) = &mut self.folder {
                folder.append_knn(step, accuracy)?;
            }
            (self.show)(TrainEvent::Knn { step, accuracy });
        }
        Ok(measured)
    }

    /// Whether any rank is.
    fn is_asked_to_stop(&self) -> Result<bool> {
        Ok(self.ranks.first((self.stop)())?.is_some())
    }

    fn warn(&mut self, line: String) {
        (self.show)(TrainEvent::Warning(line));
    }
}

/// Compares this rank's data with the first one's: they may be on different machines.
///
/// # Errors
/// Other data.
fn check_same(data: &Fingerprint, ranks: &dyn Transport) -> Result<()> {
    let text = serde_json::to_string(data).expect("plain numbers and texts");
    let first = share_text(ranks, text)?;
    let first: Fingerprint = serde_json::from_str(&first).expect("what the first rank wrote");
    first.difference(data).map_or(Ok(()), |difference| {
        Err(Error::usage(format!("the data are not those of the first rank: {difference}")))
    })
}

/// The method's work before an epoch, shown.
///
/// # Errors
/// As [`Trainer::start_epoch`].
fn start_epoch(
    trainer: &mut Trainer,
    step: usize,
    show: &mut (dyn FnMut(TrainEvent) + Send),
) -> Result<()> {
    let show = Mutex::new(show);
    let tell = |done, all| {
        (show.lock().expect("showing does not panic"))(TrainEvent::EpochWork { done, all });
    };
    trainer.start_epoch(step, datasets::Progress::new(&tell))
}

/// Fails if a number is not finite: it would overwrite the last good checkpoint.
///
/// # Errors
/// Names the first one.
fn check_finite(learner: &mut Learner, step: usize) -> Result<()> {
    if learner.is_finite() {
        return Ok(());
    }
    for (index, (name, _)) in learner.tensors().into_iter().enumerate() {
        let (mut start, mut found) = (0, None);
        let read = learner.read(index, &mut |part| {
            if let Some(at) = part.iter().position(|number| !number.is_finite()) {
                found = found.or(Some((start + at, part[at])));
            }
            start += part.len();
            Ok(())
        });
        read.expect("reading memory");
        if let Some((at, value)) = found {
            return Err(Error::NonFiniteWeight { name, at, value, step });
        }
    }
    Ok(())
}
