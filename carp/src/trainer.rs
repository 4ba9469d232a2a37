//! A run in progress, step by step (docs/method.md, 1.7).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use autograd::{Alone, Phase, Transport};
use datasets::Splits;

use crate::checkpoint::{Progress, weights_sha256};
use crate::config::Config;
use crate::diversity::Diversity;
use crate::error::{Error, Result};
use crate::learner::{Device, Learner, LossParts, Terms, UpdateSettings};
use crate::method::{EpochStart, Moment};
use crate::metrics::Metrics;
use crate::pipeline::{Batch, Pipeline, PipelineConfig};
use crate::schedule::Cosine;
use crate::step::StepConfig;
use crate::views::EvalTransform;

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
    device: Device<'a>,
    learner: Learner,
    schedules: Schedules,
    steps: usize,
    steps_per_epoch: usize,
    /// The step whose views are on their way to the device.
    sent: Option<usize>,
}

impl<'a> Trainer<'a> {
    /// Opens the data, plans the step and draws the initial weights.
    ///
    /// # Errors
    /// Data that cannot be read, or settings that do not fit together or to the data.
    pub fn new(config: &'a Config, device: Device<'a>) -> Result<Trainer<'a>> {
        let mut trainer = Trainer::planned(config, device)?;
        trainer.initialize();
        Ok(trainer)
    }

    /// As [`Trainer::new`], but all weights are 0 until [`Trainer::initialize`], which takes its time
    /// where there are many.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn planned(config: &'a Config, device: Device<'a>) -> Result<Trainer<'a>> {
        Trainer::among(config, device, Arc::new(Alone))
    }

    /// As [`Trainer::planned`], as one of the ranks that share `train.shards`: it takes its part of
    /// every batch, and has the same weights as the others after every step.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn among(
        config: &'a Config,
        device: Device<'a>,
        transport: Arc<dyn Transport>,
    ) -> Result<Trainer<'a>> {
        Trainer::with_data(config, config.data.open(config.seed)?, device, transport)
    }

    /// As [`Trainer::among`], with data that are open already.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_data(
        config: &'a Config,
        splits: Splits,
        device: Device<'a>,
        transport: Arc<dyn Transport>,
    ) -> Result<Trainer<'a>> {
        let step_config = StepConfig { images: splits.pretrain.len(), ..config.step() };
        let batch = step_config.batch;
        let steps_per_epoch = splits.pretrain.len() / batch;
        if steps_per_epoch == 0 {
            return Err(Error::usage(format!(
                "train.batch_size is {batch}, {} has {} images: set train.batch_size lower",
                splits.pretrain.name(),
                splits.pretrain.len()
            )));
        }
        let learner = Learner::among(&step_config, device, transport)?;
        let steps = match config.train.steps {
            0 => config.train.epochs * steps_per_epoch,
            steps => steps,
        };
        let schedules = Schedules::new(config, steps, steps_per_epoch);
        let sent = None;
        Ok(Trainer { config, splits, device, learner, schedules, steps, steps_per_epoch, sent })
    }

    /// Draws the initial weights.
    pub fn initialize(&mut self) {
        self.sent = None;
        self.learner.initialize(self.config.seed);
    }

    /// The same run on another device.
    ///
    /// # Errors
    /// Those of the device.
    pub fn on(&self, device: Device<'a>) -> Result<Trainer<'a>> {
        let config = self.config;
        let schedules = Schedules::new(config, self.steps, self.steps_per_epoch);
        Ok(Trainer {
            config,
            splits: self.splits.clone(),
            device,
            learner: self.learner.on(device)?,
            schedules,
            steps: self.steps,
            steps_per_epoch: self.steps_per_epoch,
            sent: None,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// The training data and the labelled splits.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// Total steps: micro-batches.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Student, teacher and optimizer.
    pub fn learner(&mut self) -> &mut Learner {
        &mut self.learner
    }

    /// The ranks that share the run.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(self.learner.executor().transport())
    }

    /// SHA-256 of the weights: see [`weights_sha256`].
    pub fn weights_sha256(&mut self) -> String {
        weights_sha256(&mut self.learner).expect("reading memory")
    }

    /// Batches for the steps from `first_step` on.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn pipeline(&self, first_step: usize) -> Result<Pipeline> {
        let transport = &**self.learner.executor().transport();
        batches(self.config, &self.splits, first_step..self.steps, transport)
    }

    /// What the method does before the epoch that begins with this step, if one does: call it before
    /// the step. `progress` is told how much of it is done.
    ///
    /// # Errors
    /// Data that cannot be read, or a device fault.
    pub fn start_epoch(&mut self, step: usize, progress: datasets::Progress) -> Result<()> {
        if !step.is_multiple_of(self.steps_per_epoch) {
            return Ok(());
        }
        let (at, device) = (self.at(step), self.device);
        let filter = self.config.views.filter;
        let transform = EvalTransform { filter, ..self.config.eval_transform() };
        let epoch = step..step + self.steps_per_epoch;
        let Trainer { config, splits, learner, .. } = self;
        let (hooks, executor) = learner.method();
        let transport = Arc::clone(executor.transport());
        let pipeline = &|| batches(config, splits, epoch.clone(), &*transport);
        let (data, transform) = (&splits.pretrain, &transform);
        let run = EpochStart { at, executor, device, data, transform, pipeline, progress };
        hooks.start_epoch(run)
    }

    /// One step on a batch: docs/method.md, 1.7.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite, or a device fault.
    pub fn step(&mut self, step: usize, batch: &Batch) -> Result<Terms> {
        self.step_before(step, batch, None)
    }

    /// As [`Trainer::step`]. Meanwhile the views of the `next` step, if they are known, go to a device that
    /// copies beside its kernels; that step must then be given the same batch.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_before(
        &mut self,
        step: usize,
        batch: &Batch,
        next: Option<&Batch>,
    ) -> Result<Terms> {
        let phases = self.prepare(step, batch);
        self.run(step, batch, next, phases)
    }

    /// As [`Trainer::step`], for CARP with a look at the teacher's features and prototypes on the way.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn observed_step(
        &mut self,
        step: usize,
        batch: &Batch,
    ) -> Result<(Terms, Option<Diversity>)> {
        let phases = self.prepare(step, batch);
        let seen = self.learner.observed_forward()?;
        let left = if seen.is_some() { &phases[1..] } else { phases };
        let terms = self.run(step, batch, None, left)?;
        Ok((terms, seen.map(|diversity| diversity())))
    }

    fn run(
        &mut self,
        step: usize,
        batch: &Batch,
        next: Option<&Batch>,
        phases: &[Phase],
    ) -> Result<Terms> {
        self.learner.start(phases)?;
        if let Some(next) = next.filter(|_| self.learner.has_arrivals()) {
            for (group, pixels) in next.groups.iter().enumerate() {
                self.learner.write_group_ahead(group, pixels);
            }
            self.sent = Some(step + 1);
        }
        let terms = self.learner.finish(step)?;
        let at = self.at(step);
        let (hooks, executor) = self.learner.method();
        hooks.after_step(at, &batch.samples, executor);
        Ok(terms)
    }

    /// Writes all that [`Trainer::step`] writes and runs nothing; returns the phases that it runs.
    pub(crate) fn prepare(&mut self, step: usize, batch: &Batch) -> &'static [Phase] {
        self.write_forward(step, batch);
        let update = self.ends_sum(step).then(|| self.update_settings(step));
        self.learner.prepare(self.starts_sum(step), update)
    }

    /// Writes all that the forward pass reads.
    fn write_forward(&mut self, step: usize, batch: &Batch) {
        if self.sent.take() == Some(step) {
            self.learner.take_arrivals();
        } else {
            for (group, pixels) in batch.groups.iter().enumerate() {
                self.learner.write_group(group, pixels);
            }
        }
        let at = self.at(step);
        let (hooks, executor) = self.learner.method();
        hooks.before_forward(at, &batch.samples, executor);
        // Once per update, as everywhere.
        let momentum = self.update_settings(step).teacher_momentum;
        self.learner.write_forward_momentum(if self.starts_sum(step) { momentum } else { 1.0 });
    }

    fn at(&self, step: usize) -> Moment {
        Moment { seed: self.config.seed, step, steps_per_epoch: self.steps_per_epoch }
    }

    /// Micro-batches accumulate gradients until an update: whether this is the first one.
    pub(crate) fn starts_sum(&self, step: usize) -> bool {
        (step % self.steps_per_epoch).is_multiple_of(self.config.train.accumulation)
    }

    /// Whether an update follows this micro-batch; one always follows the last of an epoch, and of the
    /// run.
    fn ends_sum(&self, step: usize) -> bool {
        let next = step % self.steps_per_epoch + 1;
        next.is_multiple_of(self.config.train.accumulation)
            || next == self.steps_per_epoch
            || step + 1 == self.steps
    }

    fn update_settings(&self, step: usize) -> UpdateSettings {
        UpdateSettings {
            lr: self.schedules.lr.at(step) as f32,
            weight_decay: self.schedules.weight_decay.at(step) as f32,
            teacher_momentum: self.schedules.teacher_momentum.at(step) as f32,
            number: self.updates_until(step) + 1,
        }
    }

    /// The metrics of a step.
    pub(crate) fn metrics(
        &self,
        step: usize,
        terms: Terms,
        elapsed: Duration,
        waited: Duration,
    ) -> Metrics {
        let Terms { loss, parts } = terms;
        let seconds = elapsed.as_secs_f64();
        Metrics {
            step: step + 1,
            epoch: (step + 1) as f64 / self.steps_per_epoch as f64,
            loss,
            consistency: parts.map(|parts| parts.consistency),
            entropy: parts.map(|parts| parts.entropy),
            lr: self.schedules.lr.at(step),
            teacher_momentum: self.schedules.teacher_momentum.at(step),
            images_per_second: self.config.train.batch_size as f64 / seconds,
            waiting: waited.as_secs_f64() / seconds,
            relative_loss: parts.and_then(|parts| self.relative_loss(loss, parts)),
            diversity: None,
            digest: None,
        }
    }

    /// C + H, which is the loss unless that is C alone, as a share of ln N_B, where collapsed runs are;
    /// none if that is 0.
    fn relative_loss(&self, loss: f32, parts: LossParts) -> Option<f32> {
        let sum = if self.config.model.entropy_term { loss } else { parts.sum() };
        let block = self.config.model.partition_size;
        (block > 1).then(|| sum / (block as f32).ln())
    }

    /// Whether another `every_epochs` epochs are complete (never if 0).
    pub(crate) fn is_due(&self, every_epochs: usize, progress: Progress) -> bool {
        every_epochs > 0 && progress.step.is_multiple_of(every_epochs * self.steps_per_epoch)
    }

    fn updates_until(&self, step: usize) -> usize {
        let accumulation = self.config.train.accumulation;
        let per_epoch = self.steps_per_epoch.div_ceil(accumulation);
        step / self.steps_per_epoch * per_epoch + step % self.steps_per_epoch / accumulation
    }
}

/// Batches for these steps, or a rank's part of them.
fn batches(
    config: &Config,
    splits: &Splits,
    steps: Range<usize>,
    transport: &dyn Transport,
) -> Result<Pipeline> {
    Pipeline::start(
        Arc::clone(&splits.pretrain),
        config.views.views(),
        PipelineConfig {
            seed: config.seed,
            batch: config.train.batch_size,
            rank: transport.rank(),
            ranks: transport.size(),
            partial: false,
            first_step: steps.start,
            steps: steps.end,
            ahead: config.train.prefetch,
            threads: config.threads(),
        },
    )
}
