//! Student, teacher and optimizer on a device, and the three parts of a step.

use autograd::{Executor, NonFinite, Phase, Value};

use crate::diversity::{self, Diversity};
use crate::error::{Error, Result};
use crate::layout;
use crate::step::{Optimizer, Step, StepConfig, ViewGroup};

/// Where a step runs.
pub type Device<'a> = &'a dyn tensor::Device;

/// A named tensor in PyTorch's layout, as checkpoints hold it.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// The terms of the loss in one micro-batch, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// C + H.
    pub loss: f32,
    /// C, the consistency term.
    pub consistency: f32,
    /// H, the entropy term: mean divergence of the blocks' mean assignment from uniform.
    pub entropy: f32,
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

impl Learner {
    /// Builds and plans the step and allocates its arena; weights are 0 until
    /// [`Learner::initialize`] or [`Learner::restore`].
    ///
    /// # Errors
    /// Sizes that do not fit together: see [`Step::new`]. Errors of `device`.
    pub fn new(config: &StepConfig, device: Device) -> Result<Learner> {
        let (graph, step) = Step::new(config)?;
        Ok(Learner { executor: Executor::new(graph, device)?, step, config: config.clone() })
    }

    /// The step with its graph and plan.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The step's executor, for uses other than training.
    pub fn executor_mut(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// Draws the student's weights; the teacher starts as a copy of the student, running
    /// statistics included, and the optimizer's state as zero.
    pub fn initialize(&mut self, seed: u64) {
        for state in [&self.step.optimizer_state, &self.step.gradient_sums].into_iter().flatten() {
            let elements = self.executor.graph().shape(*state).elements();
            self.executor.write(*state, &vec![0.0; elements]);
        }
        for (index, param) in self.step.student.params.all().iter().enumerate() {
            let elements = self.executor.graph().shape(param.value).elements();
            let data = self.step.student.params.initial(index, elements, seed);
            self.executor.write(param.value, &data);
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

    /// Writes the views of one group, `[count*B,S,S,C]`, view by view.
    ///
    /// # Panics
    /// If there is no such group, or `pixels` has the wrong length.
    pub fn write_group(&mut self, group: usize, pixels: &[f32]) {
        self.executor.write(self.step.views[group].images, pixels);
    }

    /// Student, teacher and loss of the written views, with the prototypes in the order of
    /// `permutation` `[K]`; `step`, from 0, is only for the error.
    ///
    /// # Errors
    /// A loss that is not finite: names the first op at fault. A device fault.
    pub fn forward(&mut self, step: usize, permutation: &[u32]) -> Result<Terms> {
        self.write_partition(permutation);
        self.executor.run(Phase::Forward)?;
        self.terms(step)
    }

    /// As [`Learner::forward`], with a look at the teacher's features and prototypes.
    ///
    /// # Errors
    /// As [`Learner::forward`]; too little memory.
    pub fn observed_forward(
        &mut self,
        step: usize,
        permutation: &[u32],
    ) -> Result<(Terms, Diversity)> {
        self.write_partition(permutation);
        let [features, embeddings] =
            self.executor.run_reading(Phase::Forward, self.step.observed)?;
        let terms = self.terms(step)?;
        let (dim, block) = (self.config.head.bottleneck, self.config.partition_size);
        // Whole blocks of the step's partition, at least one.
        let blocks = (diversity::PROTOTYPES / block).clamp(1, permutation.len() / block);
        let mut prototypes = Vec::with_capacity(blocks * block * dim);
        for &row in &permutation[..blocks * block] {
            let row = self.executor.read_part(self.step.prototypes, row as usize * dim, dim);
            prototypes.extend(row);
        }
        let sizes = (2 * self.config.batch, dim, block);
        Ok((terms, Diversity::of(&features, &embeddings, &prototypes, sizes)?))
    }

    /// Gradients of the last [`Learner::forward`]; `first` starts a new sum. `step` is only for the
    /// error.
    ///
    /// # Errors
    /// A gradient that is not finite: names the first op at fault. A device fault.
    pub fn backward(&mut self, step: usize, first: bool) -> Result<()> {
        self.write_accumulation(first);
        self.executor.run(Phase::Backward)?;
        if self.executor.is_fed_finite(Phase::Update) {
            return Ok(());
        }
        Err(self.non_finite("a gradient is", step, &[Phase::Forward, Phase::Backward])?)
    }

    /// Moves the teacher towards the student, then the student along its gradients.
    ///
    /// # Errors
    /// A device fault.
    pub fn update(&mut self, settings: UpdateSettings) -> Result<()> {
        self.write_update(settings);
        Ok(self.executor.run(Phase::Update)?)
    }

    /// Writes the order of the prototypes, `[K]`.
    pub fn write_partition(&mut self, permutation: &[u32]) {
        self.executor.write_u32(self.step.permutation, permutation);
    }

    /// Writes whether the gradients start a new sum.
    pub fn write_accumulation(&mut self, first: bool) {
        self.executor.write(self.step.scalars.keep, &[if first { 0.0 } else { 1.0 }]);
    }

    /// Writes the settings of an update.
    pub fn write_update(&mut self, settings: UpdateSettings) {
        let scalars = self.step.scalars;
        self.executor.write(scalars.lr, &[settings.lr]);
        self.executor.write(scalars.weight_decay, &[settings.weight_decay]);
        self.executor.write(scalars.teacher_momentum, &[settings.teacher_momentum]);
        if let Optimizer::AdamW(adamw) = self.config.optimizer {
            let power = |beta: f32| 1.0 - f64::from(beta).powi(settings.number as i32) as f32;
            let correction = [power(adamw.betas.0), power(adamw.betas.1)];
            self.executor.write(scalars.correction, &correction);
        }
    }

    fn terms(&mut self, step: usize) -> Result<Terms> {
        let Step { loss, consistency, entropy, .. } = self.step;
        let [loss, consistency, entropy] =
            [loss, consistency, entropy].map(|term| self.executor.scalar(term));
        self.executor.finish()?;
        if loss.is_finite() {
            return Ok(Terms { loss, consistency, entropy });
        }
        Err(self.non_finite("the loss is", step, &[Phase::Forward])?)
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

    /// The bits of everything that a step changes and a later one reads: a copy to go back to.
    pub fn state(&mut self) -> Vec<Vec<f32>> {
        self.saved_values().into_iter().map(|value| self.executor.read(value)).collect()
    }

    /// Goes back to a [`Learner::state`] of a learner with the same settings.
    pub fn set_state(&mut self, state: &[Vec<f32>]) {
        for (value, data) in self.saved_values().into_iter().zip(state) {
            self.executor.write(value, data);
        }
    }

    /// All tensors that a resumed run needs: student, teacher, optimizer, and with accumulation the
    /// sums of gradients.
    pub fn tensors(&mut self) -> Vec<NamedTensor> {
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

    /// Sets all tensors; each of the step's must be given by `find(name)`.
    ///
    /// # Errors
    /// A missing tensor, or one of another shape.
    pub fn restore<'a>(
        &mut self,
        find: impl Fn(&str) -> Result<(&'a [usize], &'a [f32])>,
    ) -> Result<()> {
        for value in self.saved_values() {
            let name = self.executor.graph().info(value).name.clone();
            let (shape, data) = find(&name)?;
            self.set_tensor(&name, shape, data)?;
        }
        Ok(())
    }

    /// The teacher's backbone, tensor by tensor in this project's layout, without the prefix
    /// `teacher.backbone.`.
    pub fn teacher_backbone(&mut self) -> Vec<(String, Vec<f32>)> {
        let params = self.step.teacher.params.all();
        let mut backbone = Vec::new();
        for param in params {
            let name = &self.executor.graph().info(param.value).name;
            if let Some(name) = name.strip_prefix("teacher.backbone.") {
                backbone.push((name.to_owned(), self.executor.read(param.value)));
            }
        }
        backbone
    }

    fn saved_values(&self) -> Vec<Value> {
        let networks = [&self.step.student, &self.step.teacher];
        let tensors = networks.into_iter().flat_map(|network| network.params.all());
        let state = [&self.step.optimizer_state, &self.step.gradient_sums].into_iter().flatten();
        tensors.map(|param| param.value).chain(state.copied()).collect()
    }
}
