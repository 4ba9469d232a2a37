//! Student, teacher and optimizer on a device, and a step with them.

use std::io;
use std::sync::Arc;

use autograd::{Alone, Executor, Graph, NonFinite, Phase, Transport, Value};
use tensor::kernel::MOST_SCALARS;
use tensor::random::Purpose;

use crate::diversity::{self, Diversity};
use crate::error::{Error, Result};
use crate::layout;
use crate::method::Hooks;
use crate::optimizer::Optimizer;
use crate::step::{Step, StepConfig, ViewGroup};
use crate::step_builder::TeacherMoves;
use crate::tensor_source::{TensorSource, part_len};

/// Where a step runs.
pub type Device<'a> = &'a dyn tensor::Device;

/// A named tensor in PyTorch's layout, as checkpoints hold it.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// The loss of one micro-batch; CARP's, in nats, is the sum of two terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The loss.
    pub loss: f32,
    /// CARP's terms.
    pub parts: Option<LossParts>,
}

/// CARP's terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossParts {
    /// C, the consistency term.
    pub consistency: f32,
    /// H, the entropy term: mean divergence of the blocks' mean assignment from uniform.
    pub entropy: f32,
}

impl LossParts {
    /// C + H, also where the loss is C alone (`model.entropy_term`).
    pub fn sum(self) -> f32 {
        self.consistency + self.entropy
    }
}

/// The scheduled values for one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateSettings {
    /// Learning rate.
    pub lr: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// m of the teacher's moving average.
    pub teacher_momentum: f32,
    /// Number of this update, from 1: for AdamW's bias correction.
    pub number: usize,
}

/// Student, teacher and optimizer.
pub struct Learner {
    executor: Executor,
    step: Step,
    config: StepConfig,
}

/// A step and the list of its ops as it runs on `device`, rewritten to keep to its memory budget.
///
/// # Errors
/// Those of [`Step::new`]; a budget that is too small.
pub fn planned_step(config: &StepConfig, device: Device) -> Result<(Graph, Step)> {
    let (mut graph, step) = Step::new(config)?;
    graph.halve(device);
    if let Some(bytes) = config.memory_budget.0 {
        graph.recompute(device, bytes)?;
    }
    Ok((graph, step))
}

impl Learner {
    /// Builds and plans the step and allocates its arena; weights are 0 until
    /// [`Learner::initialize`], or until a checkpoint sets them.
    ///
    /// # Errors
    /// Sizes that do not fit together, or a memory budget that is too small: see
    /// [`planned_step`]. Errors of `device`.
    pub fn new(config: &StepConfig, device: Device) -> Result<Learner> {
        Learner::among(config, device, Arc::new(Alone))
    }

    /// As [`Learner::new`], as one of the ranks that share the batch's shards.
    ///
    /// # Errors
    /// As [`Learner::new`].
    pub fn among(
        config: &StepConfig,
        device: Device,
        transport: Arc<dyn Transport>,
    ) -> Result<Learner> {
        let config = StepConfig { ranks: transport.size(), ..config.clone() };
        let (graph, step) = planned_step(&config, device)?;
        let executor = Executor::among(graph, device, transport)?;
        Ok(Learner { executor, step, config })
    }

    /// The same list of ops on another device, where it may exceed a memory budget; weights are 0.
    ///
    /// # Errors
    /// Those of the device.
    pub fn on(&self, device: Device) -> Result<Learner> {
        let transport = Arc::clone(self.executor.transport());
        let executor = Executor::among(self.executor.graph().clone(), device, transport)?;
        // The list made to fit a budget has the values of the one it was made from.
        let (_, step) = Step::new(&self.config)?;
        Ok(Learner { executor, step, config: self.config.clone() })
    }

    /// The step with its graph and plan.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The step's executor, for uses other than training.
    pub fn executor_mut(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// Draws the student's weights and the method's state; the teacher starts as a copy of the
    /// student, running statistics included, and the optimizer's state as zero.
    pub fn initialize(&mut self, seed: u64) {
        for state in [&self.step.optimizer_state, &self.step.gradient_sums].into_iter().flatten() {
            let elements = self.executor.graph().shape(*state).elements();
            self.executor.write(*state, &vec![0.0; elements]);
        }
        let Learner { executor, step, .. } = self;
        for (params, purpose) in [(&step.student, Purpose::Weights), (&step.state, Purpose::State)]
        {
            for (index, param) in params.all().iter().enumerate() {
                let elements = executor.graph().shape(param.value).elements();
                executor.write(param.value, &params.drawn(purpose, index, elements, seed));
            }
        }
        self.copy_student_to_teacher();
    }

    /// Makes the teacher a copy of the student, running statistics included.
    pub fn copy_student_to_teacher(&mut self) {
        for (student, teacher) in self.step.pairs() {
            let data = self.executor.read(student);
            self.executor.write(teacher, &data);
        }
    }

    /// How the micro-batch's views are grouped by size.
    pub fn view_groups(&self) -> &[ViewGroup] {
        &self.step.views
    }

    /// Writes the views of one group, `[count*B,S,S,C]`, view by view; of ranks, those of this one's
    /// images.
    ///
    /// # Panics
    /// If there is no such group, or `pixels` has the wrong length.
    pub fn write_group(&mut self, group: usize, pixels: &[f32]) {
        self.write_group_by(Executor::write_shard, group, pixels);
    }

    /// Whether views can be written beside what runs.
    pub fn has_arrivals(&self) -> bool {
        self.executor.has_arrivals()
    }

    /// As [`Learner::write_group`], beside what runs; the next step sees them after
    /// [`Learner::take_arrivals`].
    ///
    /// # Panics
    /// As there, or on a device that does not copy beside its kernels.
    pub fn write_group_ahead(&mut self, group: usize, pixels: &[f32]) {
        self.write_group_by(Executor::write_ahead, group, pixels);
    }

    /// Gives the next step what was written ahead.
    pub fn take_arrivals(&mut self) {
        self.executor.take_arrivals();
    }

    fn write_group_by(
        &mut self,
        write: impl Fn(&mut Executor, Value, usize, usize, &[f32]),
        group: usize,
        pixels: &[f32],
    ) {
        let ViewGroup { images, count, .. } = self.step.views[group];
        let part = self.executor.graph().shape(images).elements() / count;
        let shards = self.config.local_shards();
        assert_eq!(pixels.len(), count * shards * part, "numbers of the group");
        for (place, part) in pixels.chunks_exact(part).enumerate() {
            let (view, shard) = (place / shards, place % shards);
            write(&mut self.executor, images, shard, view * part.len(), part);
        }
    }

    /// The method's work outside of the graph, and the executor that it works with.
    pub fn method(&mut self) -> (&mut dyn Hooks, &mut Executor) {
        (&mut *self.step.hooks, &mut self.executor)
    }

    /// Writes the momentum with which the teacher moves in the forward pass, if it does.
    pub fn write_forward_momentum(&mut self, momentum: f32) {
        if self.step.teacher_moves == TeacherMoves::InForward {
            self.executor.write(self.step.scalars.teacher_momentum, &[momentum]);
        }
    }

    /// A step on the written views; `first` starts a new sum of gradients, and `update`, if there is one,
    /// ends it. `step`, from 0, is only for the error.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite: names the first op at fault. A device fault.
    pub fn step(
        &mut self,
        step: usize,
        first: bool,
        update: Option<UpdateSettings>,
    ) -> Result<Terms> {
        let phases = self.prepare(first, update);
        self.start(phases)?;
        self.finish(step)
    }

    /// Writes what [`Learner::step`] does, and returns the phases that it runs.
    pub(crate) fn prepare(
        &mut self,
        first: bool,
        update: Option<UpdateSettings>,
    ) -> &'static [Phase] {
        self.executor.write(self.step.scalars.keep, &[if first { 0.0 } else { 1.0 }]);
        let Some(settings) = update else { return &[Phase::Forward, Phase::Backward] };
        self.write_update(settings);
        &Phase::ALL
    }

    /// Runs these phases, the backward pass among them, as one sequence. A device may still be busy
    /// afterwards.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn start(&mut self, phases: &[Phase]) -> Result<()> {
        Ok(self.executor.run_phases(phases)?)
    }

    /// Waits for the device, once, and returns the terms of the loss. `step`, from 0, is only for the
    /// error.
    ///
    /// # Errors
    /// A loss or a gradient that is not finite: names the first op at fault. Weights, optimizer and all
    /// else that changes behind the gradients are as before. A device fault.
    pub(crate) fn finish(&mut self, step: usize) -> Result<Terms> {
        let mut report = [0.0; 1 + MOST_SCALARS];
        let len = self.executor.graph().shape(self.step.report).elements();
        self.executor.read_into(self.step.report, &mut report[..len]);
        self.executor.check()?;
        let [is_faulty, loss, consistency, entropy] = report;
        if is_faulty == 0.0 {
            let parts = LossParts { consistency, entropy };
            return Ok(Terms { loss, parts: self.step.partition.map(|_| parts) });
        }
        Err(match loss.is_finite() {
            false => self.non_finite("the loss is", step, &[Phase::Forward]),
            true => self.non_finite("a gradient is", step, &[Phase::Forward, Phase::Backward]),
        }?)
    }

    /// For CARP: runs the forward pass, op by op, and looks at the teacher's features and prototypes.
    /// Returns how to measure them, which takes finite ones. For other methods does nothing.
    ///
    /// # Errors
    /// A device fault.
    pub(crate) fn observed_forward(
        &mut self,
    ) -> Result<Option<impl FnOnce() -> Diversity + use<>>> {
        let Some(partition) = self.step.partition else { return Ok(None) };
        let [features, embeddings] =
            self.executor.run_reading(Phase::Forward, partition.observed)?;
        let (dim, block) = (self.config.head.bottleneck, self.config.partition_size);
        let bits = self.executor.read(partition.permutation);
        let permutation: Vec<u32> = bits.iter().map(|x| x.to_bits()).collect();
        // Whole blocks of the step's partition, at least one.
        let blocks = (diversity::PROTOTYPES / block).clamp(1, permutation.len() / block);
        let mut prototypes = Vec::with_capacity(blocks * block * dim);
        for &row in &permutation[..blocks * block] {
            let end = prototypes.len();
            prototypes.resize(end + dim, 0.0);
            let row = row as usize * dim;
            self.executor.read_part(partition.prototypes, row, &mut prototypes[end..]);
        }
        let sizes = (2 * self.config.shard_batch(), dim, block);
        Ok(Some(move || Diversity::of(&features, &embeddings, &prototypes, sizes)))
    }

    /// Writes the order of CARP's prototypes, `[K]`.
    ///
    /// # Panics
    /// If the method is another one.
    pub fn write_partition(&mut self, permutation: &[u32]) {
        let partition = self.step.partition.expect("a step of CARP");
        self.executor.write_u32(partition.permutation, permutation);
    }

    /// Writes the settings of an update; the teacher's only if it moves then: what the forward pass has
    /// read stays.
    pub fn write_update(&mut self, settings: UpdateSettings) {
        let scalars = self.step.scalars;
        self.executor.write(scalars.lr, &[settings.lr]);
        self.executor.write(scalars.weight_decay, &[settings.weight_decay]);
        if self.step.teacher_moves != TeacherMoves::InForward {
            self.executor.write(scalars.teacher_momentum, &[settings.teacher_momentum]);
        }
        if let Optimizer::AdamW(adamw) = self.config.optimizer {
            self.executor.write(scalars.correction, &adamw.correction(settings.number));
        }
    }

    /// Whether all is finite that a resumed run needs.
    pub fn is_finite(&mut self) -> bool {
        self.saved_values().into_iter().all(|value| self.executor.is_finite(value))
    }

    /// The error of a step in which `what` is not finite, from its ops run anew.
    pub(crate) fn non_finite(
        &mut self,
        what: &'static str,
        step: usize,
        phases: &[Phase],
    ) -> Result<Error> {
        let (origin, op) = match self.executor.first_non_finite(phases)? {
            Some(NonFinite::Given(kind, name)) => (format!("{kind} {name}"), None),
            Some(NonFinite::Op(op, name)) if name.is_empty() => (op.name(), Some(op)),
            Some(NonFinite::Op(op, name)) => (format!("{name} by {}", op.name()), Some(op)),
            None => ("none, when its ops run anew".to_owned(), None),
        };
        Ok(Error::NonFinite { what, step: step + 1, origin, op })
    }

    /// Copies the bits of everything that a step changes and a later one reads, to go back to; into the
    /// memory of an earlier copy, if there is one.
    pub fn copy_state(&mut self, state: &mut Vec<Vec<f32>>) {
        let values = self.saved_values();
        state.resize_with(values.len(), Vec::new);
        for (value, data) in values.into_iter().zip(state) {
            data.resize(self.executor.graph().shape(value).elements(), 0.0);
            self.executor.read_into(value, data);
        }
    }

    /// Goes back to a [`Learner::copy_state`] of a learner with the same settings.
    pub fn set_state(&mut self, state: &[Vec<f32>]) {
        for (value, data) in self.saved_values().into_iter().zip(state) {
            self.executor.write(value, data);
        }
    }

    /// All tensors of [`TensorSource::tensors`] with their numbers, for small networks.
    pub fn copies(&mut self) -> Vec<NamedTensor> {
        self.saved_values().into_iter().map(|value| self.tensor(value)).collect()
    }

    /// One tensor in PyTorch's layout.
    fn tensor(&mut self, value: Value) -> NamedTensor {
        let data = self.executor.read(value);
        let info = self.executor.graph().info(value);
        let (shape, data) = layout::to_pytorch(&info.shape, data);
        (info.name.clone(), shape, data)
    }

    /// Sets a tensor from PyTorch's layout; false if the step has none of this name.
    ///
    /// # Errors
    /// A shape other than the step's.
    pub fn set_tensor(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Result<bool> {
        let value = self
            .saved_values()
            .into_iter()
            .find(|&value| self.executor.graph().info(value).name == name);
        let Some(value) = value else { return Ok(false) };
        let want = layout::pytorch_shape(&self.executor.graph().shape(value));
        if want != shape {
            let detail = format!("{name} is {shape:?}, should be {want:?}");
            return Err(Error::usage(detail));
        }
        self.executor.write(value, &layout::from_pytorch(shape, data));
        Ok(true)
    }

    /// Sets elements of tensor `index` of [`TensorSource::tensors`] from element `start` on: whole
    /// rows in PyTorch's layout, as [`TensorSource::read`] gives them.
    ///
    /// # Panics
    /// If there are no such elements.
    pub fn write_rows(&mut self, index: usize, start: usize, rows: &[f32]) {
        let value = self.saved_values()[index];
        let shape = layout::pytorch_shape(&self.executor.graph().shape(value));
        let rows = layout::from_pytorch(&layout::with_rows(&shape, rows.len()), rows);
        self.executor.write_part(value, start, &rows);
    }

    /// A tensor of the backbone that the method's authors evaluate, in this project's layout, by its name
    /// without the prefix `teacher.backbone.` or `student.backbone.`.
    pub fn backbone(&mut self, name: &str) -> Option<Vec<f32>> {
        let Step { student, teacher, .. } = &self.step;
        let (params, prefix) = match self.config.method.evaluates_teacher() {
            true => (teacher.all(), "teacher.backbone."),
            false => (student.all(), "student.backbone."),
        };
        let graph = self.executor.graph();
        let is_it = |value: &Value| graph.info(*value).name.strip_prefix(prefix) == Some(name);
        let value = params.iter().map(|param| param.value).find(is_it)?;
        Some(self.executor.read(value))
    }

    fn saved_values(&self) -> Vec<Value> {
        let Step { student, teacher, state, .. } = &self.step;
        let tensors = [student, teacher, state].into_iter().flat_map(|params| params.all());
        let state = [&self.step.optimizer_state, &self.step.gradient_sums].into_iter().flatten();
        tensors.map(|param| param.value).chain(state.copied()).collect()
    }
}

/// All that a resumed run needs: student, teacher, the method's state, optimizer, and with
/// accumulation the sums of gradients.
impl TensorSource for Learner {
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let tensor = |value| {
            let info = self.executor.graph().info(value);
            (info.name.clone(), layout::pytorch_shape(&info.shape))
        };
        self.saved_values().into_iter().map(tensor).collect()
    }

    fn read(
        &mut self,
        index: usize,
        take: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> io::Result<()> {
        let value = self.saved_values()[index];
        let shape = self.executor.graph().shape(value);
        let (elements, part) = (shape.elements(), part_len(&shape));
        let mut rows = Vec::new();
        for start in (0..elements).step_by(part) {
            rows.resize(part.min(elements - start), 0.0);
            self.executor.read_part(value, start, &mut rows);
            (_, rows) = layout::to_pytorch(&layout::with_rows(&shape, rows.len()), rows);
            take(&rows)?;
        }
        Ok(())
    }
}
