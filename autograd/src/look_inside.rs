//! Looking inside a running step: what single ops read and write, whether it is finite, and how long
//! they take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytemuck::cast_slice_mut;
use tensor::{Result, Slot};

use crate::executor::Executor;
use crate::graph::{DType, Kind, Node, Phase, Value, ValueInfo};
use crate::recorded_op::{Operand, RecordedOp};
use crate::sum_ranks::EXCHANGED;

/// Where the first infinite or NaN number of a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum NonFinite {
    /// In a value that the step starts from: its kind and name.
    Given(&'static str, String),
    /// In what an op makes of finite numbers: the op, and the name of the persistent value that it
    /// updates, if it does.
    Op(Box<RecordedOp>, String),
}

impl Executor {
    /// Runs the op at `place` of the graph, and records what it reads and writes; of an op that runs
    /// for every shard, the first one's.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn record(&mut self, place: usize) -> Result<RecordedOp> {
        Ok(self.record_shards(place)?.swap_remove(0))
    }

    /// As [`Executor::record`], for each shard of this process if the op runs for every one.
    fn record_shards(&mut self, place: usize) -> Result<Vec<RecordedOp>> {
        let Node { kernel, inputs, outputs, layer, .. } = self.graph.nodes[place].clone();
        let calls: Vec<_> = self.calls[place]
            .iter()
            .map(|call| (call.inputs.clone(), call.outputs.clone()))
            .collect();
        let mut ops = Vec::new();
        for (reads, writes) in &calls {
            // A sum over shards has more slots than values.
            let reads = reads.iter().zip(inputs.iter().cycle());
            let before = writes.iter().zip(&outputs).map(|(&slot, &v)| {
                let is_updated = self.graph.info(v).kind != Kind::Temp;
                is_updated.then(|| self.operand(v, slot))
            });
            let before = before.collect();
            let inputs = reads.map(|(&slot, &v)| self.operand(v, slot)).collect();
            let (layer, outputs) = (layer.clone(), Vec::new());
            ops.push(RecordedOp { kernel, layer, place, inputs, before, outputs });
        }
        self.run_place(place)?;
        self.backend.finish()?;
        for (op, (_, writes)) in ops.iter_mut().zip(&calls) {
            let writes = writes.iter().zip(&outputs);
            op.outputs = writes.map(|(&slot, &v)| self.operand(v, slot)).collect();
        }
        Ok(ops)
    }

    /// Runs the ops of these phases one by one, from the inputs that were written last; returns the
    /// first infinite or NaN number among inputs, parameters, and what the ops make, to all ranks. State
    /// is not checked beforehand: a failed run has already changed it.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn first_non_finite(&mut self, phases: &[Phase]) -> Result<Option<NonFinite>> {
        let transport = Arc::clone(self.transport());
        let values = self.graph.values.len();
        let mine = (0..values).position(|value| !self.is_given_finite(Value(value as u32)));
        let all = transport.gather(mine.unwrap_or(values) as f32)?;
        let first = all.into_iter().fold(values, |first, value| first.min(value as usize));
        if let Some(info) = self.graph.values.get(first) {
            let kind = if info.kind == Kind::Input { "input" } else { "parameter" };
            return Ok(Some(NonFinite::Given(kind, info.name.clone())));
        }
        for place in self.graph.places(phases) {
            let mut ops = self.record_shards(place)?;
            let found = |op: &RecordedOp| {
                let mut outputs = self.graph.nodes[place].outputs.iter().zip(&op.outputs);
                outputs.find_map(|(&v, output)| Some((v, output.first_non_finite()?.0)))
            };
            let mine = ops.iter().position(|op| found(op).is_some());
            if let Some(rank) = transport.first(mine.is_some())? {
                let mut op = ops.swap_remove(mine.unwrap_or(0));
                op.all_bits().try_for_each(|bits| {
                    bits.chunks_mut(EXCHANGED)
                        .try_for_each(|bits| transport.broadcast(rank, cast_slice_mut(bits)))
                })?;
                let (value, element) = found(&op).expect("that rank's numbers");
                let name = self.persistent_name(value, element);
                return Ok(Some(NonFinite::Op(Box::new(op), name)));
            }
        }
        Ok(None)
    }

    /// Whether all numbers are finite that a step starts from in this value; true if it starts from
    /// none.
    fn is_given_finite(&mut self, value: Value) -> bool {
        let info = self.graph.info(value);
        if !matches!(info.kind, Kind::Input | Kind::Param) || info.dtype != DType::F32 {
            return true;
        }
        let is_sharded = self.graph.sharded.contains(&value);
        let shards = if is_sharded { self.graph.shards.local } else { 1 };
        let mut slots = (0..shards).map(|shard| self.plan.slot(value, shard));
        slots.all(|slot| self.backend.all_finite(slot))
    }

    /// The name of the persistent value that an element of `value` belongs to; empty for others.
    fn persistent_name(&self, value: Value, element: usize) -> String {
        let member = self.graph.members(value).map_or(value, |members| {
            let ranges = self.graph.ranges(members);
            members[ranges.partition_point(|&(_, end)| end <= element)]
        });
        let ValueInfo { kind, name, .. } = self.graph.info(member);
        if *kind == Kind::Temp { String::new() } else { name.clone() }
    }

    /// Runs all three phases; returns the time of each op, in graph order.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_timed(&mut self) -> Result<Vec<Duration>> {
        let nodes = self.graph.nodes.len();
        let timed = |place| {
            let start = Instant::now();
            self.run_place(place)?;
            self.backend.finish()?;
            Ok(start.elapsed())
        };
        (0..nodes).map(timed).collect()
    }

    /// Whether all numbers of a persistent value are finite.
    pub fn is_finite(&mut self, value: Value) -> bool {
        self.backend.all_finite(self.slot(value))
    }

    /// Runs the ops of one phase as [`Executor::run`], and reads `values` when they are made.
    ///
    /// # Errors
    /// As [`Executor::run`].
    ///
    /// # Panics
    /// If no op of the phase makes one of them.
    pub fn run_reading<const N: usize>(
        &mut self,
        phase: Phase,
        values: [Value; N],
    ) -> Result<[Vec<f32>; N]> {
        let mut read = values.map(|_| Vec::new());
        for place in self.graph.places(&[phase]) {
            self.run_place(place)?;
            for (value, data) in values.iter().zip(&mut read) {
                if self.graph.nodes[place].outputs.contains(value) {
                    data.resize(self.slot(*value).len, 0.0);
                    self.backend.read(self.slot(*value), data);
                }
            }
        }
        self.backend.finish()?;
        assert!(read.iter().all(|data| !data.is_empty()), "an op of the phase makes each value");
        Ok(read)
    }

    /// The bits of a value that an op has just written or is about to read; zeros between the members
    /// of a span. bf16 become f32.
    fn operand(&mut self, value: Value, slot: Slot) -> Operand {
        let mut data = vec![0.0; slot.len];
        self.backend.read(slot, &mut data);
        let mut bits: Vec<u32> = data.iter().map(|number| number.to_bits()).collect();
        let mut dtype = self.graph.info(value).dtype;
        if dtype == DType::Bf16 {
            bits = bits.iter().flat_map(|pair| [pair << 16, pair & 0xffff_0000]).collect();
            dtype = DType::F32;
        }
        if let Some(members) = self.graph.members(value) {
            let ranges = self.graph.ranges(members);
            for (this, next) in ranges.iter().zip(&ranges[1..]) {
                bits[this.1..next.0].fill(0);
            }
        }
        Operand { dtype, bits }
    }
}
