//! Prototypes that do not move during the first epochs.

use autograd::{Executor, Value};

use super::hooks::{Hooks, Moment};
use crate::step_builder::StepBuilder;

/// A scalar that is 1 once the frozen epochs are over, and 0 before.
pub struct Frozen {
    moves: Value,
    epochs: usize,
}

impl Frozen {
    /// Keeps `prototypes` from moving for this many epochs.
    pub fn new(step: &mut StepBuilder, prototypes: &[Value], epochs: usize) -> Frozen {
        let moves = step.graph.input("prototypes_move", [1]);
        step.frozen.extend(prototypes.iter().map(|&value| (value, moves)));
        Frozen { moves, epochs }
    }
}

impl Hooks for Frozen {
    fn before_forward(&mut self, at: Moment, _images: &[u32], executor: &mut Executor) {
        let moves = if at.epoch() < self.epochs { 0.0 } else { 1.0 };
        executor.write(self.moves, &[moves]);
    }
}
