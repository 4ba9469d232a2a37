//! What a method is: its part of the step that all methods share.

use autograd::{Result, Value};

use super::hooks::{Hooks, NoHooks};
use crate::step_builder::StepBuilder;

/// A method of learning without labels.
pub trait Method {
    /// The range of each of its settings that is a number.
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[]
    }

    /// Appends the method's networks, forward passes and loss to a step.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    fn build(&self, step: &mut StepBuilder) -> Result<Built>;
}

/// The allowed values of a setting.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// Above 0.
    Positive,
    /// 0 or more.
    NotNegative,
    /// 0 to 1: of a moving average what stays, of the loss a term's share.
    Share,
    /// Integers from this on, up to as many as there may be prototypes.
    AtLeast(usize),
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
