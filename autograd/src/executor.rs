//! Runs a graph repeatedly without allocating.

use tensor::{Backend, Device, Error, Io, Result, Slot};

use crate::graph::{Graph, Kind, Node, Phase, Value};
use crate::plan::Plan;

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
    pub(crate) graph: Graph,
    pub(crate) plan: Plan,
    calls: Vec<Call>,
    pub(crate) backend: Box<dyn Backend>,
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

    /// Runs the op at `place` of the graph.
    pub(crate) fn run_place(&mut self, place: usize) -> Result<()> {
        run_node(&self.graph.nodes[place], &self.calls[place], &mut *self.backend)
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

    pub(crate) fn slot(&self, value: Value) -> Slot {
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
