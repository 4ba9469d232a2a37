//! Queues of earlier embeddings, as state of a step.

use autograd::{Error, Result, Value};
use methods::queue;

use crate::nn::Init;
use crate::step_builder::StepBuilder;

/// A queue of `length` random rows of length 1, whose oldest B rows each step replaces.
///
/// # Errors
/// A length that is not a multiple of B.
pub fn queue_of(step: &mut StepBuilder, name: &str, length: usize) -> Result<Value> {
    let (batch, dim) = (step.sizes.shard_batch, step.sizes.head.bottleneck);
    if length == 0 || !length.is_multiple_of(batch) {
        let detail = format!("{length}, should be a multiple of train.batch_size = {batch}");
        return Err(Error::setting("method.queue", detail));
    }
    Ok(step.state(name, &[length, dim], Init::UnitRows(dim)))
}

/// Puts `rows` at the head of the queue, once the gradients no longer need it.
pub fn push_afterwards(step: &mut StepBuilder, queue: Value, rows: Value) {
    step.afterwards.push(Box::new(move |g| queue::push(g, queue, rows)));
}
