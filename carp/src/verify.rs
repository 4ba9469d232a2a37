//! A run repeated, step by step, and compared with what it recorded.

use std::ops::Range;

use autograd::RecordedOp;
use datasets::Progress;

use crate::error::Result;
use crate::learner::Device;
use crate::pipeline::Batch;
use crate::run_record::RunRecord;
use crate::trainer::Trainer;

/// The first step that differs from the record.
#[derive(Debug)]
pub struct Difference {
    /// The step, from 1.
    pub step: usize,
    /// What differs, as one line.
    pub what: String,
    /// Where it comes from.
    pub cause: Cause,
}

/// What a second execution of the step shows.
#[derive(Debug)]
pub enum Cause {
    /// Both executions differ: in this op first.
    Op {
        /// The step of the op, from 1: that of the difference, or an earlier one whose gradients the
        /// same update takes.
        step: usize,
        /// The op as the repetition ran it.
        here: Box<RecordedOp>,
        /// The same op of the same inputs in the second execution.
        there: Box<RecordedOp>,
        /// The second execution's step is as recorded.
        there_as_recorded: bool,
    },
    /// Both executions agree to the bit: only the record differs.
    Record,
}

/// Repeats the steps of `range`, counted from 0, from where the trainer's learner is, and compares
/// each with the record; returns the first that differs. Its update is run again op by op, on the
/// trainer's device and on `second`. `show` is told the number of steps done.
///
/// # Errors
/// Data that cannot be read, a number that is not finite, or a device fault.
pub fn verify(
    trainer: &mut Trainer,
    record: &RunRecord,
    range: Range<usize>,
    second: Device,
    show: &mut dyn FnMut(usize),
) -> Result<Option<Difference>> {
    let mut pipeline = trainer.pipeline(range.start)?;
    let (mut start, mut before) = (range.start, Vec::new());
    for step in range.clone() {
        trainer.start_epoch(step, Progress::none())?;
        if step == range.start || trainer.starts_sum(step) {
            start = step;
            trainer.learner().copy_state(&mut before);
        }
        if let Some(what) = difference(trainer, record, step, pipeline.next_batch()?)? {
            let cause = cause(trainer, record, start..step + 1, &before, second)?;
            return Ok(Some(Difference { step: step + 1, what, cause }));
        }
        show(step + 1);
    }
    Ok(None)
}

/// Takes a step, and says how it differs from the record.
fn difference(
    trainer: &mut Trainer,
    record: &RunRecord,
    step: usize,
    batch: &Batch,
) -> Result<Option<String>> {
    let terms = trainer.step(step, batch)?;
    Ok(record.difference(step + 1, terms, || trainer.weights_sha256()))
}

/// Runs steps from the state `before` them op by op on two devices, side by side. The last one is
/// that which differs from the record.
fn cause(
    here: &mut Trainer,
    record: &RunRecord,
    steps: Range<usize>,
    before: &[Vec<f32>],
    second: Device,
) -> Result<Cause> {
    let mut there = here.on(second)?;
    here.learner().set_state(before);
    there.learner().set_state(before);
    let Some((step, ops)) = first_other_op(here, &mut there, steps.clone())? else {
        return Ok(Cause::Record);
    };
    there.learner().set_state(before);
    let mut pipeline = there.pipeline(steps.start)?;
    let mut last = None;
    for step in steps {
        last = difference(&mut there, record, step, pipeline.next_batch()?)?;
    }
    let [here, there] = ops.map(Box::new);
    Ok(Cause::Op { step: step + 1, here, there, there_as_recorded: last.is_none() })
}

/// The first op whose outputs differ, as both devices ran it, and its step.
fn first_other_op(
    here: &mut Trainer,
    there: &mut Trainer,
    steps: Range<usize>,
) -> Result<Option<(usize, [RecordedOp; 2])>> {
    let mut pipeline = here.pipeline(steps.start)?;
    for step in steps {
        let batch = pipeline.next_batch()?;
        let phases = here.prepare(step, batch);
        there.prepare(step, batch);
        for place in here.learner().executor().graph().places(phases) {
            let ours = here.learner().executor_mut().record(place)?;
            let theirs = there.learner().executor_mut().record(place)?;
            if ours.first_difference(&theirs).is_some() {
                return Ok(Some((step, [ours, theirs])));
            }
        }
    }
    Ok(None)
}
