//! Runs a graph repeatedly without allocating.

use std::time::{Duration, Instant};

use tensor::{Backend, Device, Error, Io, Result, Slot};

use crate::graph::{DType, Graph, Kind, Node, Phase, Value, ValueInfo};
use crate::plan::Plan;
use crate::recorded_op::{Operand, RecordedOp};

/// Where the first infinite or NaN number of a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum NonFinite {
    /// In a value that the step starts from: its kind and name.
    Given(&'static str, String),
    /// In what an op makes of finite numbers: the op, and the name of the persistent value that it
    /// updates, if it does.
    Op(Box<RecordedOp>, String),
}

/// The slots of one node.
struct Call {
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    workspace: Slot,
}

impl Call {
    fn io(&self) -> Io<'_> {
        Io { inputs: &self.inputs, outputs: &self.outputs, workspace: self.workspace }
    }
}

/// A graph with its memory on a device.
pub struct Executor {
    graph: Graph,
    plan: Plan,
    calls: Vec<Call>,
    backend: Box<dyn Backend>,
}

impl Executor {
    /// Plans `graph` and opens its arena on `device`.
    ///
    /// # Errors
    /// Those of `device`: missing, or out of memory.
    pub fn new(graph: Graph, device: &dyn Device) -> Result<Executor> {
        let plan = Plan::new(&graph, device);
        let slots = |values: &[Value]| values.iter().map(|v| plan.slots[v.index()]).collect();
        let call = |(node, &workspace): (&Node, &Slot)| Call {
            inputs: slots(&node.inputs),
            outputs: slots(&node.outputs),
            workspace,
        };
        let calls = graph.nodes.iter().zip(&plan.workspaces).map(call).collect();
        let mut backend = device.open(plan.total)?;
        for (value, data) in &graph.constants {
            backend.write_u32(plan.slots[value.index()], data);
        }
        Ok(Executor { graph, plan, calls, backend })
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
        let info = self.graph.info(value);
        assert!(info.kind != Kind::Temp || info.kept, "reading a temporary that is not kept");
        self.backend.read(self.slot(value), data);
    }

    /// Reads `len` elements from `start` on of a persistent value.
    ///
    /// # Panics
    /// If they reach outside the value.
    pub fn read_part(&mut self, value: Value, start: usize, len: usize) -> Vec<f32> {
        let mut data = vec![0.0; len];
        self.backend.read(self.slot(value).part(start, len), &mut data);
        data
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
        if self.backend.begin_sequence(phase as usize) {
            return self.backend.check();
        }
        for (node, call) in self.graph.nodes.iter().zip(&self.calls) {
            if node.phase == phase {
                run_node(node, call, &mut *self.backend)?;
            }
        }
        self.backend.end_sequence();
        self.backend.check()
    }

    /// Runs all three phases; returns the time of each op, in graph order.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_timed(&mut self) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(self.calls.len());
        for (node, call) in self.graph.nodes.iter().zip(&self.calls) {
            let start = Instant::now();
            run_node(node, call, &mut *self.backend)?;
            self.backend.finish()?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    /// Runs all three phases.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_all(&mut self) -> Result<()> {
        [Phase::Forward, Phase::Backward, Phase::Update].into_iter().try_for_each(|p| self.run(p))
    }

    /// Waits until the device is idle. Values read before are valid only if this finds no fault.
    ///
    /// # Errors
    /// The first device fault since the start.
    pub fn finish(&mut self) -> Result<()> {
        self.backend.finish()
    }

    /// Runs the op at `place` of the graph, and records what it reads and writes.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn record(&mut self, place: usize) -> Result<RecordedOp> {
        let Node { kernel, inputs, outputs, layer, .. } = self.graph.nodes[place].clone();
        let is_kept = |v: &Value| self.graph.info(*v).kind != Kind::Temp;
        let in_place: Vec<bool> = outputs.iter().map(is_kept).collect();
        let inputs = inputs.iter().map(|&v| self.operand(v)).collect();
        let before = outputs.iter().zip(in_place).map(|(&v, is)| is.then(|| self.operand(v)));
        let before = before.collect();
        run_node(&self.graph.nodes[place], &self.calls[place], &mut *self.backend)?;
        self.backend.finish()?;
        let outputs = outputs.iter().map(|&v| self.operand(v)).collect();
        Ok(RecordedOp { kernel, layer, place, inputs, before, outputs })
    }

    /// Runs the ops of these phases one by one, from the inputs that were written last; returns the
    /// first infinite or NaN number among inputs, parameters, and what the ops make. State is not
    /// checked beforehand: a failed run has already changed it.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn first_non_finite(&mut self, phases: &[Phase]) -> Result<Option<NonFinite>> {
        for (value, info) in self.graph.values.iter().enumerate() {
            let kind = match info.kind {
                Kind::Input => "input",
                Kind::Param => "parameter",
                Kind::State | Kind::Constant | Kind::Temp | Kind::Span => continue,
            };
            if info.dtype == DType::F32 && !self.backend.all_finite(self.plan.slots[value]) {
                return Ok(Some(NonFinite::Given(kind, info.name.clone())));
            }
        }
        for place in self.graph.places(phases) {
            let op = self.record(place)?;
            let mut outputs = self.graph.nodes[place].outputs.iter().zip(&op.outputs);
            let found = outputs.find_map(|(v, output)| Some((v, output.first_non_finite()?.0)));
            if let Some((&value, element)) = found {
                let name = self.persistent_name(value, element);
                return Ok(Some(NonFinite::Op(Box::new(op), name)));
            }
        }
        Ok(None)
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
            run_node(&self.graph.nodes[place], &self.calls[place], &mut *self.backend)?;
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

    /// Whether all numbers are finite that earlier phases make for this one: for `Update`, the
    /// gradients.
    pub fn is_fed_finite(&mut self, phase: Phase) -> bool {
        let Executor { graph, plan, backend, .. } = self;
        let mut is_finite = |v: &Value| backend.all_finite(plan.slots[v.index()]);
        let read = graph.nodes.iter().filter(|node| node.phase == phase).flat_map(|n| &n.inputs);
        read.into_iter().all(|v| {
            let members = graph.members(*v).unwrap_or(std::slice::from_ref(v));
            let ValueInfo { kind, dtype, .. } = graph.info(members[0]);
            let is_made = *dtype == DType::F32 && matches!(kind, Kind::Temp | Kind::State);
            // Anything may lie between the members of a span.
            !is_made || is_finite(v) || members.iter().all(&mut is_finite)
        })
    }

    /// The bits of a value that an op has just written or is about to read; zeros between the members
    /// of a span.
    fn operand(&mut self, value: Value) -> Operand {
        let mut data = vec![0.0; self.slot(value).len];
        self.backend.read(self.slot(value), &mut data);
        let mut bits: Vec<u32> = data.iter().map(|number| number.to_bits()).collect();
        if let Some(members) = self.graph.members(value) {
            let ranges = self.graph.ranges(members);
            for (this, next) in ranges.iter().zip(&ranges[1..]) {
                bits[this.1..next.0].fill(0);
            }
        }
        Operand { dtype: self.graph.info(value).dtype, bits }
    }

    fn slot(&self, value: Value) -> Slot {
        self.plan.slots[value.index()]
    }
}

/// Runs one op; a device fault names it.
fn run_node(node: &Node, call: &Call, backend: &mut dyn Backend) -> Result<()> {
    backend.run(&node.kernel, &call.io());
    backend.check().map_err(|fault| {
        let layer = if node.layer.is_empty() { "no layer" } else { &node.layer };
        Error::device(format!("{fault} (op {} of {layer})", node.kernel.name()))
    })
}
