//! Runs a graph repeatedly without allocating.

use std::sync::Arc;

use tensor::{Backend, Device, Error, Io, Kernel, Result, Slot};

use crate::buckets::summed;
use crate::exchange::Exchange;
use crate::graph::{Graph, Kind, Node, Phase, Value};
use crate::plan::Plan;
use crate::shards::PerShard;
use crate::transport::{Alone, Transport};

/// The slots of one node, or of one shard's.
pub(crate) struct Call {
    pub(crate) inputs: Vec<Slot>,
    pub(crate) outputs: Vec<Slot>,
    workspace: Slot,
}

impl Call {
    fn io(&self) -> Io<'_> {
        Io { inputs: &self.inputs, outputs: &self.outputs, workspace: self.workspace }
    }
}

/// A graph with its memory on a device.
pub struct Executor {
    pub(crate) graph: Graph,
    pub(crate) plan: Plan,
    /// For each node: one call, or one per shard.
    pub(crate) calls: Vec<Vec<Call>>,
    pub(crate) backend: Box<dyn Backend>,
    exchange: Exchange,
}

impl Executor {
    /// Plans `graph` and opens its arena on `device`.
    ///
    /// # Errors
    /// Those of `device`: missing, or out of memory.
    ///
    /// # Panics
    /// If the graph leaves shards to other processes.
    pub fn new(graph: Graph, device: &dyn Device) -> Result<Executor> {
        Executor::among(graph, device, Arc::new(Alone))
    }

    /// As [`Executor::new`], as one of the ranks that share the batch's shards.
    ///
    /// # Errors
    /// As [`Executor::new`].
    ///
    /// # Panics
    /// If the ranks do not have all shards together.
    pub fn among(
        graph: Graph,
        device: &dyn Device,
        transport: Arc<dyn Transport>,
    ) -> Result<Executor> {
        let shards = graph.shards();
        assert_eq!(shards.local * transport.size(), shards.all, "shards of all ranks");
        let plan = Plan::new(&graph, device);
        let per_shard = PerShard::of(&graph);
        let slots = |values: &[Value], shard: usize| {
            let slot = |v: &Value| plan.slot(*v, if per_shard.has(*v) { shard } else { 0 });
            values.iter().map(slot).collect()
        };
        let calls = |(node, &workspace): (&Node, &Slot)| -> Vec<Call> {
            if let Kernel::SumShards { .. } = node.kernel {
                let inputs = (0..shards.local).map(|shard| plan.slot(node.inputs[0], shard));
                let outputs = slots(&node.outputs, 0);
                return vec![Call { inputs: inputs.collect(), outputs, workspace }];
            }
            let times = if per_shard.runs(node) { shards.local } else { 1 };
            let call = |shard| Call {
                inputs: slots(&node.inputs, shard),
                outputs: slots(&node.outputs, shard),
                workspace,
            };
            (0..times).map(call).collect()
        };
        let calls = graph.nodes.iter().zip(&plan.workspaces).map(calls).collect();
        let mut backend = device.open(plan.total)?;
        for (value, data) in &graph.constants {
            backend.write_u32(plan.slots[value.index()], data);
        }
        let result = |place: usize| plan.slot(graph.nodes[place].outputs[0], 0);
        let exchange = Exchange::new(transport, &graph, result);
        Ok(Executor { graph, plan, calls, backend, exchange })
    }

    /// The ranks that share the step.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        self.exchange.transport()
    }

    /// Lets the ranks' devices exchange numbers without the host, if they can: all ranks call it.
    ///
    /// # Errors
    /// Devices that do not find each other.
    pub fn link(&mut self) -> Result<()> {
        self.exchange.link(&mut *self.backend)
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The memory layout.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes a value from the host.
    ///
    /// # Panics
    /// If `data` does not have the value's number of elements.
    pub fn write(&mut self, value: Value, data: &[f32]) {
        self.backend.write(self.slot(value), data);
    }

    /// Writes `data` to the elements from `start` on.
    ///
    /// # Panics
    /// If they reach outside the value.
    pub fn write_part(&mut self, value: Value, start: usize, data: &[f32]) {
        self.backend.write(self.slot(value).part(start, data.len()), data);
    }

    /// Writes `data` to the elements from `start` on of a shard's own value.
    ///
    /// # Panics
    /// If they reach outside the value, or the process does not hold the shard.
    pub fn write_shard(&mut self, value: Value, shard: usize, start: usize, data: &[f32]) {
        assert!(shard < self.graph.shards.local, "shard {shard} of this process");
        self.backend.write(self.plan.slot(value, shard).part(start, data.len()), data);
    }

    /// Writes indices from the host.
    ///
    /// # Panics
    /// If `data` does not have the value's number of elements.
    pub fn write_u32(&mut self, value: Value, data: &[u32]) {
        self.backend.write_u32(self.slot(value), data);
    }

    /// Reads a value that is persistent or kept.
    pub fn read(&mut self, value: Value) -> Vec<f32> {
        let mut data = vec![0.0; self.slot(value).len];
        self.read_into(value, &mut data);
        data
    }

    /// Reads a value that is persistent or kept, without allocating.
    ///
    /// # Panics
    /// If `data` does not have the value's number of elements, or the value is temporary and not
    /// kept: its memory may have been reused.
    pub fn read_into(&mut self, value: Value, data: &mut [f32]) {
        assert_eq!(data.len(), self.slot(value).len, "elements of the value");
        self.read_part(value, 0, data);
    }

    /// Reads the elements from `start` on of a value that is persistent or kept.
    ///
    /// # Panics
    /// As [`Executor::read_into`], or if they reach outside the value.
    pub fn read_part(&mut self, value: Value, start: usize, data: &mut [f32]) {
        let info = self.graph.info(value);
        assert!(info.kind != Kind::Temp || info.kept, "reading a temporary that is not kept");
        let part = self.slot(value).part(start, data.len());
        self.backend.read(part, data);
    }

    /// Reads a value of one element.
    pub fn scalar(&mut self, value: Value) -> f32 {
        let mut data = [0.0];
        self.read_into(value, &mut data);
        data[0]
    }

    /// Runs the ops of one phase in order. A device may still be busy afterwards: `read` and
    /// [`Executor::finish`] wait for it.
    ///
    /// # Errors
    /// A device fault, with the op at which it showed. A CPU has none.
    pub fn run(&mut self, phase: Phase) -> Result<()> {
        self.run_phases(&[phase])
    }

    /// Runs the ops of these phases, in order, as one sequence that a device may record: see
    /// [`tensor::Backend::begin_sequence`].
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_phases(&mut self, phases: &[Phase]) -> Result<()> {
        // What ranks exchange may pass through the host, and so is not recorded.
        let is_recorded = self.transport().size() == 1;
        let sequence = phases.iter().fold(0, |set, &phase| set | 1 << phase as usize);
        if is_recorded && self.backend.begin_sequence(sequence) {
            return self.backend.check();
        }
        let Executor { graph, calls, backend, exchange, .. } = self;
        for (place, (node, calls)) in graph.nodes.iter().zip(calls).enumerate() {
            if phases.contains(&node.phase) {
                exchange.wait(&mut **backend, place)?;
                run_node(node, calls, &mut **backend)?;
                if let Some((sum, scratch)) = sum_of_ranks(node, calls) {
                    exchange.sum_in_time(&mut **backend, place, sum, scratch)?;
                }
            }
        }
        exchange.wait(&mut **backend, graph.nodes.len())?;
        if is_recorded {
            self.backend.end_sequence();
        }
        self.backend.check()
    }

    /// Runs the op at `place` of the graph.
    pub(crate) fn run_place(&mut self, place: usize) -> Result<()> {
        let Executor { graph, calls, backend, exchange, .. } = self;
        let (node, calls) = (&graph.nodes[place], &calls[place]);
        run_node(node, calls, &mut **backend)?;
        match sum_of_ranks(node, calls) {
            Some((sum, scratch)) => exchange.sum(&mut **backend, sum, scratch),
            None => Ok(()),
        }
    }

    /// Runs all three phases.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_all(&mut self) -> Result<()> {
        self.run_phases(&Phase::ALL)
    }

    /// The first device fault so far, of those that show without waiting. A `read` has waited.
    ///
    /// # Errors
    /// As above.
    pub fn check(&mut self) -> Result<()> {
        self.backend.check()
    }

    /// Waits until the device is idle. Values read before are valid only if this finds no fault.
    ///
    /// # Errors
    /// The first device fault since the start.
    pub fn finish(&mut self) -> Result<()> {
        self.backend.finish()
    }

    pub(crate) fn slot(&self, value: Value) -> Slot {
        self.plan.slots[value.index()]
    }
}

/// Runs one op, for every shard if each has its own; a device fault names it.
fn run_node(node: &Node, calls: &[Call], backend: &mut dyn Backend) -> Result<()> {
    calls.iter().for_each(|call| backend.run(&node.kernel, &call.io()));
    backend.check().map_err(|fault| {
        let layer = if node.layer.is_empty() { "no layer" } else { &node.layer };
        Error::device(format!("{fault} (op {} of {layer})", node.kernel.name()))
    })
}

/// What an op leaves to sum over the ranks, and scratch memory for that.
fn sum_of_ranks(node: &Node, calls: &[Call]) -> Option<(Slot, Slot)> {
    summed(node).map(|_| (calls[0].outputs[0], calls[0].workspace))
}
