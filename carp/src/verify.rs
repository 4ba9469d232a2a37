//! A run repeated, step by step, and compared with what it recorded.

use std::ops::Range;

use autograd::RecordedOp;

use crate::checkpoint::weights_sha256;
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
/// each with the record; returns the first that differs. That one is run again op by op, on the
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
    for step in range {
        let before = trainer.learner().state();
        let batch = pipeline.next_batch()?;
        if let Some(what) = difference(trainer, record, step, batch)? {
            let cause = cause(trainer, record, step, batch, &before, second)?;
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
    let weights = weights_sha256(&trainer.learner().tensors());
    Ok(record.difference(step + 1, terms, &weights))
}

/// Runs a step from the state `before` it op by op on two devices, side by side.
fn cause(
    here: &mut Trainer,
    record: &RunRecord,
    step: usize,
    batch: &Batch,
    before: &[Vec<f32>],
    second: Device,
) -> Result<Cause> {
    let mut there = here.on(second)?;
    here.learner().set_state(before);
    there.learner().set_state(before);
    let phases = here.prepare(step, batch);
    there.prepare(step, batch);
    for place in here.learner().executor().graph().places(phases) {
        let op = here.learner().executor_mut().record(place)?;
        let other = there.learner().executor_mut().record(place)?;
        if op.first_difference(&other).is_some() {
            there.learner().set_state(before);
            let there_as_recorded = difference(&mut there, record, step, batch)?.is_none();
            let (here, there) = (Box::new(op), Box::new(other));
            return Ok(Cause::Op { here, there, there_as_recorded });
        }
    }
    Ok(Cause::Record)
}
