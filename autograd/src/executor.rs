//! Runs a graph, again and again, without allocating.

use std::time::{Duration, Instant};

use tensor::{Backend, Error, Result, Slot};

use crate::graph::{DType, Graph, Io, Kind, Node, Phase, Value};
use crate::plan::Plan;

/// A graph with its memory on a device.
pub struct Executor {
    graph: Graph,
    plan: Plan,
    io: Vec<Io>,
    backend: Box<dyn Backend>,
}

impl Executor {
    /// Plans `graph` and allocates its arena. `device` makes a backend with an arena of so many
    /// elements; it is asked twice, first with 0 to learn what scratch memory its kernels need.
    ///
    /// # Errors
    /// Those of `device`: a device that is missing or has too little memory.
    pub fn new(
        graph: Graph,
        device: impl Fn(usize) -> Result<Box<dyn Backend>>,
    ) -> Result<Executor> {
        let plan = Plan::new(&graph, &*device(0)?);
        let io = plan.io(&graph);
        let backend = device(plan.total)?;
        Ok(Executor { graph, plan, io, backend })
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The layout that it runs in.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes a value from the host.
    ///
    /// # Panics
    /// If `data` has not the value's number of elements.
    pub fn write(&mut self, value: Value, data: &[f32]) {
        self.backend.write(self.slot(value), data);
    }

    /// Writes the elements from `start` on, as many as `data` has.
    ///
    /// # Panics
    /// If they reach outside the value.
    pub fn write_part(&mut self, value: Value, start: usize, data: &[f32]) {
        self.backend.write(self.slot(value).part(start, data.len()), data);
    }

    /// Writes indices from the host.
    ///
    /// # Panics
    /// If `data` has not the value's number of elements.
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
    /// If `data` has not the value's number of elements, or if the value is temporary and not kept:
    /// its memory may hold another one by now.
    pub fn read_into(&mut self, value: Value, data: &mut [f32]) {
        let info = self.graph.info(value);
        assert!(info.kind != Kind::Temp || info.kept, "reading a temporary that is not kept");
        self.backend.read(self.slot(value), data);
    }

    /// Reads a value of one element.
    pub fn scalar(&mut self, value: Value) -> f32 {
        let mut data = [0.0];
        self.read_into(value, &mut data);
        data[0]
    }

    /// Runs the ops of one phase in order. A device may still be at work on them afterwards: `read`
    /// waits for it, and so does [`Executor::finish`].
    ///
    /// # Errors
    /// A fault of the device, with the op where it showed. None on a CPU.
    pub fn run(&mut self, phase: Phase) -> Result<()> {
        if self.backend.begin_sequence(phase as usize) {
            return self.backend.check();
        }
        for (node, io) in self.graph.nodes.iter().zip(&self.io) {
            if node.phase == phase {
                run_node(node, io, &mut *self.backend)?;
            }
        }
        self.backend.end_sequence();
        self.backend.check()
    }

    /// Runs all three phases and tells how long each op took, in the order of the graph.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_timed(&mut self) -> Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(self.io.len());
        for (node, io) in self.graph.nodes.iter().zip(&self.io) {
            let start = Instant::now();
            run_node(node, io, &mut *self.backend)?;
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

    /// Waits until the device is idle. What was read before is only right if this finds no fault.
    ///
    /// # Errors
    /// The first fault of the device since the start.
    pub fn finish(&mut self) -> Result<()> {
        self.backend.finish()
    }

    /// Runs the forward phase again, looking at every input, parameter and result, and names the
    /// first one with an infinite or NaN element: (op, layer). State is not looked at: the first,
    /// failed run has already moved it.
    pub fn first_non_finite(&mut self) -> Option<(&'static str, String)> {
        for (info, &slot) in self.graph.values.iter().zip(&self.plan.slots) {
            let kind = match info.kind {
                Kind::Input => "input",
                Kind::Param => "parameter",
                Kind::State | Kind::Temp => continue,
            };
            if info.dtype == DType::F32 && !self.backend.all_finite(slot) {
                return Some((kind, info.name.clone()));
            }
        }
        for (node, io) in self.graph.nodes.iter().zip(&self.io) {
            if node.phase != Phase::Forward {
                continue;
            }
            node.op.run(&mut *self.backend, io);
            for (v, &slot) in node.outputs.iter().zip(&io.outputs) {
                let info = &self.graph.values[v.index()];
                let is_result = info.dtype == DType::F32 && info.kind == Kind::Temp;
                if is_result && !self.backend.all_finite(slot) {
                    return Some((node.op.name(), node.layer.clone()));
                }
            }
        }
        None
    }

    fn slot(&self, value: Value) -> Slot {
        self.plan.slots[value.index()]
    }
}

/// Runs one op; a fault of the device names it.
fn run_node(node: &Node, io: &Io, backend: &mut dyn Backend) -> Result<()> {
    node.op.run(backend, io);
    backend.check().map_err(|fault| {
        let layer = if node.layer.is_empty() { "no layer" } else { &node.layer };
        Error::device(format!("{fault} (op {} of {layer})", node.op.name()))
    })
}
