//! What a step of a setting costs.

use std::time::Instant;

use autograd::{Graph, Phase, Plan};
use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::{Device, planned_step};
use carp::step::StepConfig;
use carp::trainer::Trainer;
use datasets::{Progress, Splits};

/// Steps that are timed, after as many as were prepared ahead of the first.
const TIMED: usize = 9;

/// What a step costs.
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
}

impl Cost {
    /// The planned cost, without its time.
    ///
    /// # Errors
    /// Settings that do not fit together or to the data.
    pub fn planned(config: &Config, splits: &Splits, device: Device) -> Result<Cost> {
        let (images, batch) = (splits.pretrain.len(), config.train.batch_size);
        let (graph, _) = planned_step(&StepConfig { images, ..config.step() }, device)?;
        if images < batch {
            let name = splits.pretrain.name();
            let detail = format!("train.batch_size is {batch}, {name} has {images} images left");
            return Err(Error::usage(detail));
        }
        Ok(Cost {
            passes_per_step: passes(&graph),
            bytes: Plan::new(&graph, device).bytes(),
            steps_per_epoch: images / batch,
            seconds_per_step: 0.0,
        })
    }

    /// The same with its time: the median of a few steps, and a step's share of the work before an
    /// epoch.
    ///
    /// # Errors
    /// As [`Trainer::new`] and [`Trainer::step`].
    pub fn timed(self, config: &Config, device: Device) -> Result<Cost> {
        let ahead = config.train.prefetch + 2;
        let mut config = config.clone();
        config.train.steps = ahead + TIMED;
        let mut trainer = Trainer::new(&config, device)?;
        let start = Instant::now();
        trainer.start_epoch(0, Progress::none())?;
        let share = start.elapsed().as_secs_f64() / self.steps_per_epoch as f64;
        let mut pipeline = trainer.pipeline(0)?;
        let mut seconds = Vec::new();
        for step in 0..config.train.steps {
            let start = Instant::now();
            trainer.step(step, pipeline.next_batch()?)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        let timed = &mut seconds[ahead..];
        timed.sort_by(f64::total_cmp);
        Ok(Cost { seconds_per_step: timed[TIMED / 2] + share, ..self })
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
