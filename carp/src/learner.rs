//! Student, teacher and optimizer on a device, and the three parts of a step.

use std::io;

use autograd::{Executor, Phase, Value};

use crate::error::{Error, Result};
use crate::layout;
use crate::step::{Optimizer, Step, StepConfig, ViewGroup};
use crate::tensor_source::{TensorSource, part_len};

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
    /// Sizes that do not fit together, or a memory budget that is too small: see
    /// [`Step::for_device`]. Errors of `device`.
    pub fn new(config: &StepConfig, device: Device) -> Result<Learner> {
        let (graph, step) = Step::for_device(config, device)?;
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
    /// statistics included.
    pub fn initialize(&mut self, seed: u64) {
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
    /// `permutation` `[K]`; `step` is only for the error.
    ///
    /// # Errors
    /// A loss that is not finite: names the first op at fault. A device fault.
    pub fn forward(&mut self, step: usize, permutation: &[u32]) -> Result<Terms> {
        self.executor.write_u32(self.step.permutation, permutation);
        self.executor.run(Phase::Forward)?;
        let terms = Terms {
            loss: self.executor.scalar(self.step.loss),
            consistency: self.executor.scalar(self.step.consistency),
            entropy: self.executor.scalar(self.step.entropy),
        };
        self.executor.finish()?;
        if terms.loss.is_finite() {
            return Ok(terms);
        }
        let origin = match self.executor.first_non_finite() {
            Some((what, name)) => format!("{what} {name}"),
            None => "the loss alone".to_owned(),
        };
        Err(Error::NonFinite { loss: terms.loss, step, origin })
    }

    /// Gradients of the last [`Learner::forward`]; `first` starts a new sum.
    ///
    /// # Errors
    /// A device fault.
    pub fn backward(&mut self, first: bool) -> Result<()> {
        self.executor.write(self.step.scalars.keep, &[if first { 0.0 } else { 1.0 }]);
        Ok(self.executor.run(Phase::Backward)?)
    }

    /// Moves the teacher towards the student, then the student along its gradients.
    ///
    /// # Errors
    /// A device fault.
    pub fn update(&mut self, settings: UpdateSettings) -> Result<()> {
        let scalars = self.step.scalars;
        self.executor.write(scalars.lr, &[settings.lr]);
        self.executor.write(scalars.weight_decay, &[settings.weight_decay]);
        self.executor.write(scalars.teacher_momentum, &[settings.teacher_momentum]);
        if let Optimizer::AdamW(adamw) = self.config.optimizer {
            let power = |beta: f32| 1.0 - f64::from(beta).powi(settings.number as i32) as f32;
            let correction = [power(adamw.betas.0), power(adamw.betas.1)];
            self.executor.write(scalars.correction, &correction);
        }
        Ok(self.executor.run(Phase::Update)?)
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

    /// A tensor of the teacher's backbone in this project's layout, by its name without the prefix
    /// `teacher.backbone.`.
    pub fn teacher_backbone(&mut self, name: &str) -> Option<Vec<f32>> {
        let graph = self.executor.graph();
        let is_it =
            |value: &Value| graph.info(*value).name.strip_prefix("teacher.backbone.") == Some(name);
        let value = self.step.teacher.params.all().iter().map(|param| param.value).find(is_it)?;
        Some(self.executor.read(value))
    }

    fn saved_values(&self) -> Vec<Value> {
        let networks = [&self.step.student, &self.step.teacher];
        let tensors = networks.into_iter().flat_map(|network| network.params.all());
        let state = [&self.step.optimizer_state, &self.step.gradient_sums].into_iter().flatten();
        tensors.map(|param| param.value).chain(state.copied()).collect()
    }
}

/// All that a resumed run needs: student, teacher, optimizer, and with accumulation the sums of
/// gradients.
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
