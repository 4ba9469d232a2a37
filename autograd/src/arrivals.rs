//! Inputs that are written while the step before runs ([`crate::Graph::arrives`]).

use tensor::{Io, Kernel, Slot};

use crate::executor::Executor;
use crate::graph::Value;

impl Executor {
    /// Whether inputs have a place where they arrive ([`crate::Graph::arrives`]).
    pub fn has_arrivals(&self) -> bool {
        !self.plan.arrivals.is_empty()
    }

    /// As [`Executor::write_shard`], beside what runs; the value has it after
    /// [`Executor::take_arrivals`].
    ///
    /// # Panics
    /// As there, or if the value has no place where it arrives.
    pub fn write_ahead(&mut self, value: Value, shard: usize, start: usize, data: &[f32]) {
        assert!(shard < self.graph.shards.local, "shard {shard} of this process");
        let arrival = self.plan.arrivals.iter().find(|(arriving, _)| *arriving == value);
        let &(_, slot) = arrival.expect("a value that arrives");
        let slot = self.plan.of_shard(slot, shard);
        self.backend.write_ahead(slot.part(start, data.len()), data);
    }

    /// Moves what was written ahead, of all shards, to where the step reads it.
    pub fn take_arrivals(&mut self) {
        self.backend.end_ahead();
        for shard in 0..self.graph.shards.local {
            for &(value, slot) in &self.plan.arrivals {
                let io = Io {
                    inputs: &[self.plan.of_shard(slot, shard)],
                    outputs: &[self.plan.slot(value, shard)],
                    workspace: Slot::default(),
                };
                self.backend.run(&Kernel::Copy, &io);
            }
        }
        self.backend.begin_ahead();
    }
}
