//! What a method is: its part of the step that all methods share.

use autograd::{Result, Value};

use super::hooks::{Hooks, NoHooks};
use crate::step_builder::StepBuilder;

/// A method of learning without labels.
pub trait Method {
    /// Appends the method's networks, forward passes and loss to a step.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    fn build(&self, step: &mut StepBuilder) -> Result<Built>;
}

/// The forward pass of a method.
pub struct Built {
    /// The loss, `[1]`.
    pub loss: Value,
    /// What only CARP has.
    pub partition: Option<Partition>,
    /// Its work outside of the graph.
    pub hooks: Box<dyn Hooks>,
}

impl Built {
    /// A loss, and nothing more.
    pub fn of(loss: Value) -> Built {
        Built { loss, partition: None, hooks: Box::new(NoHooks) }
    }
}

/// CARP's terms and partition, and what is looked at now and then.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// Input: the random order of the prototypes, `[K]` of u32.
    pub permutation: Value,
    /// C, the consistency term.
    pub consistency: Value,
    /// H, the entropy term.
    pub entropy: Value,
    /// The teacher's features `[2*B,F]` and embeddings `[2*B,D]`: temporary.
    pub observed: [Value; 2],
    /// The teacher's prototypes, `[K,D]`.
    pub prototypes: Value,
}
