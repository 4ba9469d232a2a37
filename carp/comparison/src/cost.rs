//! What a setting costs: a step, and what its method does before an epoch.

use std::time::Instant;

use autograd::{Graph, Phase, Plan};
use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::{Device, planned_step};
use carp::method::Seen;
use carp::step::StepConfig;
use carp::trainer::Trainer;
use datasets::{Progress, Splits};

/// Steps that are timed, after as many as were prepared ahead of the first.
const TIMED: usize = 9;

/// What a method's work before an epoch costs, from one epoch on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochCost {
    /// The epoch, from 0.
    pub from_epoch: usize,
    /// Images through a backbone.
    pub passes: usize,
    /// Seconds; 0 until it is measured.
    pub seconds: f64,
}

/// What a setting costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// Images through a backbone, the teacher's included.
    pub passes_per_step: usize,
    /// Bytes of the step's arena.
    pub bytes: usize,
    /// Steps in one pass over the data.
    pub steps_per_epoch: usize,
    /// Seconds; 0 until it is measured.
    pub seconds_per_step: f64,
    /// Before epochs, in their order; nothing before the first of them.
    pub before: Vec<EpochCost>,
}

impl Cost {
    /// The planned cost, without its time.
    ///
    /// # Errors
    /// Settings that do not fit together or to the data.
    pub fn planned(config: &Config, splits: &Splits, device: Device) -> Result<Cost> {
        let (images, batch) = (splits.pretrain.len(), config.train.batch_size);
        let (graph, step) = planned_step(&StepConfig { images, ..config.step() }, device)?;
        if images < batch {
            let name = splits.pretrain.name();
            let detail = format!("train.batch_size is {batch}, {name} has {images} images left");
            return Err(Error::usage(detail));
        }
        let (passes_per_step, steps_per_epoch) = (passes(&graph), images / batch);
        let of_epoch = |(from_epoch, seen)| {
            let passes = match seen {
                Seen::Nothing => 0,
                Seen::Batches => steps_per_epoch * passes_per_step,
                Seen::Images => images,
            };
            EpochCost { from_epoch, passes, seconds: 0.0 }
        };
        Ok(Cost {
            passes_per_step,
            bytes: Plan::new(&graph, device).bytes(),
            steps_per_epoch,
            seconds_per_step: 0.0,
            before: step.hooks.seen().into_iter().map(of_epoch).collect(),
        })
    }

    /// Steps that this budget of seconds or of passes has room for, with the work before each epoch that
    /// they begin.
    pub fn steps_within(
        &self,
        budget: f64,
        of_step: f64,
        of_epoch: impl Fn(&EpochCost) -> f64,
    ) -> usize {
        let (mut left, mut steps) = (budget, 0usize);
        let mut of_epochs = self.before.iter().map(|cost| (cost.from_epoch, of_epoch(cost)));
        let (mut epoch, mut before, mut next) = (0, 0.0, of_epochs.next());
        loop {
            while let Some((_, cost)) = next.filter(|(from, _)| *from <= epoch) {
                (before, next) = (cost, of_epochs.next());
            }
            let of_one = before + self.steps_per_epoch as f64 * of_step;
            let most = next.map_or(f64::INFINITY, |(from, _)| (from - epoch) as f64);
            let whole = (left / of_one).floor().min(most);
            left -= whole * of_one;
            steps = steps.saturating_add((whole as usize).saturating_mul(self.steps_per_epoch));
            if whole < most {
                let part = ((left - before) / of_step).max(0.0) as usize;
                return steps.saturating_add(part.min(self.steps_per_epoch));
            }
            epoch += whole as usize;
        }
    }

    /// Images that so many steps put through a backbone, with the work before each epoch that they begin.
    pub fn passes(&self, steps: usize) -> u64 {
        let epochs = steps.div_ceil(self.steps_per_epoch);
        let ends = self.before.iter().skip(1).map(|cost| cost.from_epoch.min(epochs));
        let of_epochs = self
            .before
            .iter()
            .zip(ends.chain([epochs]))
            .map(|(cost, end)| end.saturating_sub(cost.from_epoch) as u64 * cost.passes as u64);
        steps as u64 * self.passes_per_step as u64 + of_epochs.sum::<u64>()
    }

    /// The same with its time: the median of a few steps, and of each kind of work before an epoch once,
    /// as far as the `budget` in seconds reaches.
    ///
    /// # Errors
    /// As [`Trainer::new`] and [`Trainer::step`].
    pub fn timed(mut self, config: &Config, budget: f64, device: Device) -> Result<Cost> {
        let ahead = config.train.prefetch + 2;
        let mut config = config.clone();
        config.train.steps = ahead + TIMED;
        let mut trainer = Trainer::new(&config, device)?;
        let start_epoch = |trainer: &mut Trainer, epoch: usize| -> Result<f64> {
            let start = Instant::now();
            trainer.start_epoch(epoch * self.steps_per_epoch, Progress::none())?;
            Ok(start.elapsed().as_secs_f64())
        };
        let first = start_epoch(&mut trainer, 0)?;
        let mut pipeline = trainer.pipeline(0)?;
        let mut seconds = Vec::new();
        for step in 0..config.train.steps {
            let start = Instant::now();
            trainer.step(step, pipeline.next_batch()?)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        let timed = &mut seconds[ahead..];
        timed.sort_by(f64::total_cmp);
        self.seconds_per_step = timed[TIMED / 2];
        for place in 0..self.before.len() {
            let epoch = self.before[place].from_epoch;
            let steps = self.steps_within(budget, self.seconds_per_step, |cost| cost.seconds);
            if epoch > 0 && steps <= epoch * self.steps_per_epoch {
                break;
            }
            let seconds = if epoch == 0 { first } else { start_epoch(&mut trainer, epoch)? };
            self.before[place].seconds = seconds;
        }
        Ok(self)
    }
}

/// Images that a step puts through a backbone: rows that its first convolution reads.
fn passes(graph: &Graph) -> usize {
    let is_first =
        |value: &autograd::Value| graph.info(*value).name.ends_with("backbone.conv1.weight");
    let forward = graph.nodes().iter().filter(|node| node.phase == Phase::Forward);
    let first = forward.filter(|node| node.inputs.iter().any(is_first));
    first.map(|node| graph.shape(node.inputs[0])[0]).sum()
}
