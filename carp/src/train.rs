//! The training loop (docs/method.md, 1.7).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autograd::trace::Recomputed;
use datasets::Splits;
use tensor::random::{Purpose, Stream};

use crate::checkpoint::{Checkpoint, Progress, weights_sha256};
use crate::collapse::CollapseWatch;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::learner::{Device, Learner, Terms, UpdateSettings};
use crate::pipeline::{Batch, Pipeline, PipelineConfig};
use crate::run_folder::{Metrics, RunFolder};
use crate::run_result::{RunResult, peak_rss_bytes};
use crate::schedule::Cosine;
use crate::tensor_source::TensorSource;

/// Progress events of a run.
#[derive(Debug)]
pub enum TrainEvent<'a> {
    /// Before the first step.
    Start {
        /// First step: above 0 in a resumed run.
        first_step: usize,
        /// Total steps.
        steps: usize,
        /// Bytes of the step's arena.
        planned_bytes: usize,
        /// What it costs to keep to the memory budget.
        recomputed: Option<Recomputed>,
    },
    /// k-NN accuracy was measured.
    Knn {
        /// Steps done.
        step: usize,
        /// Fraction of queries classified correctly.
        accuracy: f64,
    },
    /// A step is done.
    Step(&'a Metrics),
    /// A one-line warning.
    Warning(String),
}

/// Measures the teacher's backbone by k-NN before, during and after a run. The caller provides it:
/// evaluating features is not part of the method.
pub trait Monitor {
    /// k-NN accuracy of a backbone's features on held-out images, as a fraction; `tensor` gives its
    /// tensors by torchvision's names, in this project's layout.
    ///
    /// # Errors
    /// An image that cannot be read.
    fn knn(&mut self, tensor: &mut dyn FnMut(&str) -> Option<Vec<f32>>) -> Result<f64>;

    /// After the last measurement: writes its pictures to the run's folder, and returns the same
    /// fraction for raw pixels.
    ///
    /// # Errors
    /// An image that cannot be read, or a file that cannot be written.
    fn finish(&mut self, folder: &Path) -> Result<f64>;
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

/// Learning rate, weight decay and teacher momentum over the steps of a run.
struct Schedules {
    lr: Cosine,
    weight_decay: Cosine,
    teacher_momentum: Cosine,
}

impl Schedules {
    fn new(config: &Config, steps: usize, steps_per_epoch: usize) -> Schedules {
        let optimizer = &config.optimizer;
        let teacher = &config.teacher;
        Schedules {
            lr: Cosine {
                warmup_steps: (optimizer.warmup_epochs * steps_per_epoch).min(steps),
                warmup_start: optimizer.warmup_start_lr,
                ..Cosine::new(config.lr(), optimizer.final_lr, steps)
            },
            weight_decay: Cosine::new(optimizer.weight_decay, optimizer.final_weight_decay, steps),
            teacher_momentum: Cosine::new(teacher.momentum, teacher.final_momentum, steps),
        }
    }
}

/// A run in progress.
pub struct Trainer<'a> {
    config: &'a Config,
    splits: Splits,
    learner: Learner,
    schedules: Schedules,
    steps: usize,
    steps_per_epoch: usize,
    permutation: Vec<u32>,
}

impl<'a> Trainer<'a> {
    /// Opens the data, plans the step and draws the initial weights.
    ///
    /// # Errors
    /// Data that cannot be read, or settings that do not fit together or to the data.
    pub fn new(config: &'a Config, device: Device) -> Result<Trainer<'a>> {
        let splits = config.data.open(config.seed)?;
        let step_config = config.step();
        let batch = step_config.batch;
        let steps_per_epoch = splits.pretrain.len() / batch;
        if steps_per_epoch == 0 {
            return Err(Error::usage(format!(
                "train.batch_size is {batch}, {} has {} images: set train.batch_size lower",
                splits.pretrain.name(),
                splits.pretrain.len()
            )));
        }
        let mut learner = Learner::new(&step_config, device)?;
        learner.initialize(config.seed);
        let steps = config.train.epochs * steps_per_epoch;
        let schedules = Schedules::new(config, steps, steps_per_epoch);
        let permutation = vec![0; config.model.prototypes];
        Ok(Trainer { config, splits, learner, schedules, steps, steps_per_epoch, permutation })
    }

    /// The training data and the labelled splits.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// Total steps: micro-batches of all epochs.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Student, teacher and optimizer.
    pub fn learner(&mut self) -> &mut Learner {
        &mut self.learner
    }

    /// Batches for the steps from `first_step` on.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn pipeline(&self, first_step: usize) -> Result<Pipeline> {
        Pipeline::start(
            Arc::clone(&self.splits.pretrain),
            self.config.views.views(),
            PipelineConfig {
                seed: self.config.seed,
                batch: self.config.train.batch_size,
                partial: false,
                first_step,
                steps: self.steps,
                ahead: self.config.train.prefetch,
                threads: self.config.threads(),
            },
        )
    }

    /// One step on a batch: docs/method.md, 1.7.
    ///
    /// # Errors
    /// A loss that is not finite, or a device fault.
    pub fn step(&mut self, step: usize, batch: &Batch) -> Result<Terms> {
        for (group, pixels) in batch.groups.iter().enumerate() {
            self.learner.write_group(group, pixels);
        }
        self.draw_partition(step);
        let terms = self.learner.forward(step, &self.permutation)?;
        // Micro-batches accumulate gradients until an update; the last one of an epoch always
        // updates.
        let accumulation = self.config.train.accumulation;
        let place = step % self.steps_per_epoch;
        self.learner.backward(place.is_multiple_of(accumulation))?;
        if (place + 1).is_multiple_of(accumulation) || place + 1 == self.steps_per_epoch {
            self.learner.update(UpdateSettings {
                lr: self.schedules.lr.at(step) as f32,
                weight_decay: self.schedules.weight_decay.at(step) as f32,
                teacher_momentum: self.schedules.teacher_momentum.at(step) as f32,
                number: self.updates_until(step) + 1,
            })?;
        }
        Ok(terms)
    }

    /// The metrics of a step.
    fn metrics(&self, step: usize, terms: Terms, elapsed: Duration, waited: Duration) -> Metrics {
        let Terms { loss, consistency, entropy } = terms;
        let seconds = elapsed.as_secs_f64();
        Metrics {
            step: step + 1,
            epoch: (step + 1) as f64 / self.steps_per_epoch as f64,
            loss,
            consistency,
            entropy,
            lr: self.schedules.lr.at(step),
            teacher_momentum: self.schedules.teacher_momentum.at(step),
            images_per_second: self.config.train.batch_size as f64 / seconds,
            waiting: waited.as_secs_f64() / seconds,
        }
    }

    /// Whether another `every_epochs` epochs are complete (never if 0).
    fn is_due(&self, every_epochs: usize, progress: Progress) -> bool {
        every_epochs > 0 && progress.step.is_multiple_of(every_epochs * self.steps_per_epoch)
    }

    fn updates_until(&self, step: usize) -> usize {
        let accumulation = self.config.train.accumulation;
        let per_epoch = self.steps_per_epoch.div_ceil(accumulation);
        step / self.steps_per_epoch * per_epoch + step % self.steps_per_epoch / accumulation
    }

    /// The order of the prototypes, a new uniform permutation for every micro-batch.
    fn draw_partition(&mut self, step: usize) {
        for (place, index) in (0..).zip(&mut self.permutation) {
            *index = place;
        }
        Stream::new(self.config.seed, Purpose::Partition, 0, step as u64)
            .shuffle(&mut self.permutation);
    }
}

/// Trains to the end and writes everything into `folder`. `resume` continues from a checkpoint in
/// that folder. Without labelled data there is no `monitor`. Once `stop` is true,
/// the run ends after the current step.
///
/// # Errors
/// Invalid data or files; a loss or weights that are not finite.
pub fn train(
    mut trainer: Trainer,
    mut monitor: Option<&mut dyn Monitor>,
    mut folder: RunFolder,
    resume: Option<&mut Checkpoint>,
    stop: &dyn Fn() -> bool,
    show: &mut dyn FnMut(TrainEvent),
) -> Result<Outcome> {
    let config = trainer.config;
    let data = Fingerprint::of(&trainer.splits)?;
    if let Some(checkpoint) = &resume {
        check_data(checkpoint, &data, show)?;
    }
    let mut measure = |learner: &mut Learner| {
        let monitor = monitor.as_mut();
        monitor.map(|monitor| monitor.knn(&mut |name| learner.teacher_backbone(name))).transpose()
    };
    // The initial weights are a function of the seed: a resumed run measures them anew.
    let knn_before = measure(&mut trainer.learner)?;
    let mut progress = Progress::default();
    if let Some(checkpoint) = resume {
        progress = checkpoint.progress()?;
        folder.rewind(progress)?;
        checkpoint.restore(&mut trainer.learner)?;
    }
    let (first_step, steps) = (progress.step, trainer.steps);
    let executor = trainer.learner.executor();
    let (planned_bytes, recomputed) = (executor.plan().bytes(), Recomputed::of(executor.graph()));
    show(TrainEvent::Start { first_step, steps, planned_bytes, recomputed });
    if let Some(accuracy) = knn_before {
        show(TrainEvent::Knn { step: 0, accuracy });
    }

    let mut pipeline = trainer.pipeline(first_step)?;
    let mut watch = CollapseWatch::new(config.model.partition_size);
    for step in first_step..steps {
        // At the start of the next step: a run that stopped before it measured does so on its resume.
        if step > 0
            && trainer.is_due(config.knn.every_epochs, progress)
            && let Some(accuracy) = measure(&mut trainer.learner)?
        {
            folder.append_knn(step, accuracy)?;
            show(TrainEvent::Knn { step, accuracy });
        }
        let start = Instant::now();
        let terms = trainer.step(step, pipeline.next_batch()?)?;
        let waited = pipeline.take_waited();
        let elapsed = start.elapsed();
        progress = Progress { step: step + 1, seconds: progress.seconds + elapsed.as_secs_f64() };
        let metrics = trainer.metrics(step, terms, elapsed, waited);
        folder.append(&metrics)?;
        show(TrainEvent::Step(&metrics));
        if let Some(line) = watch.observe(terms) {
            show(TrainEvent::Warning(line));
        }

        let is_last = progress.step == steps;
        let stopped = stop() && !is_last;
        if stopped || is_last || trainer.is_due(config.train.checkpoint_every_epochs, progress) {
            check_finite(&mut trainer.learner, progress.step)?;
            folder.save_checkpoint(config, &data, &mut trainer.learner, progress)?;
        }
        if stopped {
            return Ok(Outcome::Stopped { step: progress.step });
        }
    }
    drop(pipeline);

    let knn_after = measure(&mut trainer.learner)?;
    if let Some(accuracy) = knn_after {
        folder.append_knn(steps, accuracy)?;
        show(TrainEvent::Knn { step: steps, accuracy });
    }
    let knn_pixels = monitor.map(|monitor| monitor.finish(folder.path())).transpose()?;
    let skipped = trainer.splits.pretrain.skipped();
    if skipped > 0 {
        show(TrainEvent::Warning(format!("unreadable images skipped: {skipped}")));
    }
    let images = (steps * config.train.batch_size) as f64;
    let result = RunResult {
        knn_before,
        knn_after,
        knn_pixels,
        weights_sha256: weights_sha256(&mut trainer.learner).expect("reading memory"),
        steps,
        seconds: progress.seconds,
        images_per_second: images / progress.seconds,
        planned_peak_bytes: planned_bytes,
        peak_rss_bytes: peak_rss_bytes(),
    };
    folder.write_result(&result)?;
    Ok(Outcome::Finished(result))
}

/// Fails if a number is not finite: it would overwrite the last good checkpoint.
///
/// # Errors
/// Names the first one.
fn check_finite(learner: &mut Learner, step: usize) -> Result<()> {
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

/// Compares the data with those of the checkpoint, if it says which they were.
///
/// # Errors
/// Other data.
fn check_data(
    checkpoint: &Checkpoint,
    now: &Fingerprint,
    show: &mut dyn FnMut(TrainEvent),
) -> Result<()> {
    let Some(then) = checkpoint.data()? else {
        let line = "the checkpoint does not say what its data were: they may have changed";
        show(TrainEvent::Warning(line.to_owned()));
        return Ok(());
    };
    match then.difference(now) {
        None => Ok(()),
        Some(difference) => Err(Error::usage(format!(
            "the data are not those that the run began with: {difference}; bring them back, or \
             start a new run"
        ))),
    }
}
