//! One training step of CARP as a graph (docs/method.md, 1.3 to 1.7).
//!
//! Views go through the student, one backbone pass per resolution and one head pass for all of
//! them; views 0 and 1 through the teacher; the loss compares both over K prototypes inside the
//! blocks of a random partition; its gradient flows back through the student; the teacher follows
//! the student's weights from before the update; the optimizer updates the student. The layers
//! append plain ops; fusion passes merge them into fewer, larger kernels.

use autograd::{Error, Graph, LossInputs, Passes, Phase, Result, Value};
use tensor::kernel::AdamW;

use crate::conv::ConvChoice;
use crate::loss::LossVariant;
use crate::memory_budget::MemoryBudget;
use crate::nn::{Head, HeadConfig, Params, ResNet, ResNetConfig};

/// The optimizer, with the settings that are constant during a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Layer-wise adaptive rate scaling, the authors' choice.
    Lars {
        /// Momentum.
        momentum: f32,
        /// Trust coefficient.
        eta: f32,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Momentum.
        momentum: f32,
    },
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

/// What determines the graph of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepConfig {
    /// The backbone.
    pub resnet: ResNetConfig,
    /// The head.
    pub head: HeadConfig,
    /// N_B, prototypes in a block of the partition.
    pub partition_size: usize,
    /// Train on C + H; false trains on C alone, op by op.
    pub entropy_term: bool,
    /// How much of the loss is fused.
    pub loss_variant: LossVariant,
    /// Fusion passes to apply: see [`LossVariant::limit`].
    pub passes: Passes,
    /// How convolutions are computed.
    pub conv: ConvChoice,
    /// B, images in a micro-batch.
    pub batch: usize,
    /// Side of each square view, in pixels; views 0 and 1 are the global ones.
    pub view_sizes: Vec<usize>,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Most bytes of the step's arena: see [`planned_step`](crate::learner::planned_step).
    pub memory_budget: MemoryBudget,
}

/// Backbone, head and their tensors.
pub struct Network {
    backbone: ResNet,
    head: Head,
    /// All tensors, named `student.backbone.*`, `student.head.*` (or `teacher.`).
    pub params: Params,
}

impl Network {
    fn new(graph: &mut Graph, role: &str, trained: bool, config: &StepConfig) -> Network {
        let mut params = Params::new(trained);
        graph.scope(role, |graph| {
            let backbone =
                graph.scope("backbone", |graph| ResNet::new(graph, &mut params, &config.resnet));
            let features = config.resnet.features();
            let head =
                graph.scope("head", |graph| Head::new(graph, &mut params, features, &config.head));
            Network { backbone, head, params }
        })
    }

    /// All tensors but the running statistics: those of more than one dimension, which decay, come
    /// first, so that one kernel can update each kind.
    fn trained(&self, graph: &Graph) -> Vec<Value> {
        let mut weights: Vec<Value> = self.params.weights().map(|param| param.value).collect();
        weights.sort_by_key(|&weight| graph.shape(weight).len() < 2);
        weights
    }

    /// Groups of images, one per resolution, to features and embeddings of all rows in order.
    fn forward(&self, graph: &mut Graph, role: &str, groups: &[Value]) -> Result<[Value; 2]> {
        graph.scope(role, |graph| {
            let features = graph.scope("backbone", |graph| {
                let parts = groups
                    .iter()
                    .map(|&images| self.backbone.forward(graph, images, true))
                    .collect::<Result<Vec<_>>>()?;
                graph.concat_rows(&parts)
            })?;
            let embeddings = graph.scope("head", |g| self.head.embed(g, features, true))?;
            Ok([features, embeddings])
        })
    }
}

/// Consecutive views of one size, which pass through the backbone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewGroup {
    /// Images `[count*B,S,S,C]`, view by view.
    pub images: Value,
    /// First view of the group.
    pub first: usize,
    /// Number of views.
    pub count: usize,
    /// S.
    pub size: usize,
}

/// Settings of a step. The caller writes `keep` before each backward pass, the others before each
/// update; all are `[1]` but `correction`.
#[derive(Clone, Copy, Debug)]
pub struct Scalars {
    /// Learning rate.
    pub lr: Value,
    /// Weight decay of tensors with more than one dimension; others have none.
    pub weight_decay: Value,
    /// m of the teacher's moving average.
    pub teacher_momentum: Value,
    /// With accumulation: 0 in the first micro-batch of an update, 1 in the others.
    pub keep: Value,
    /// With AdamW: 1 - beta1^t and 1 - beta2^t, `[2]`.
    pub correction: Value,
}

/// Handles to all values that the caller of a step reads and writes.
pub struct Step {
    /// The trained network.
    pub student: Network,
    /// Its moving average.
    pub teacher: Network,
    /// Input: the views.
    pub views: Vec<ViewGroup>,
    /// Input: the random order of the prototypes, `[K]` of u32.
    pub permutation: Value,
    /// Input: the settings of the step.
    pub scalars: Scalars,
    /// C + H of the micro-batch, or what of it is trained on.
    pub loss: Value,
    /// C, the consistency term.
    pub consistency: Value,
    /// H, the entropy term.
    pub entropy: Value,
    /// The teacher's features `[2*B,F]` and embeddings `[2*B,D]`: temporary.
    pub observed: [Value; 2],
    /// The teacher's prototypes, `[K,D]`.
    pub prototypes: Value,
    /// The optimizer's state, named `optimizer.*`, initially zero.
    pub optimizer_state: Vec<Value>,
    /// With accumulation: the sums of gradients, named `gradient.*`.
    pub gradient_sums: Vec<Value>,
}

impl Step {
    /// Builds the graph of a step. Its `Forward` phase ends with the loss; `Update` holds the ops of
    /// the teacher and the optimizer.
    ///
    /// # Errors
    /// Fewer than two views, a partition size of 0 or above K, views too small for the backbone, a
    /// batch too small for batch norm.
    pub fn new(config: &StepConfig) -> Result<(Graph, Step)> {
        if config.view_sizes.len() < 2 || config.accumulation == 0 {
            let detail = format!(
                "{} views and {} micro-batches per update; needs at least 2 views and 1",
                config.view_sizes.len(),
                config.accumulation
            );
            return Err(Error::setting("carp_step", detail));
        }
        let mut graph = Graph::new();
        let g = &mut graph;
        let student = Network::new(g, "student", true, config);
        let teacher = Network::new(g, "teacher", false, config);
        let views = view_inputs(g, config);
        let permutation = g.input_u32("permutation", [config.head.prototypes]);
        let scalars = Scalars {
            lr: g.input("lr", [1]),
            weight_decay: g.input("weight_decay", [1]),
            teacher_momentum: g.input("teacher_momentum", [1]),
            keep: g.input("keep", [1]),
            correction: g.input("correction", [2]),
        };

        let images: Vec<Value> = views.iter().map(|group| group.images).collect();
        let teacher_images = teacher_views(g, config, &views)?;
        let observed = teacher.forward(g, "teacher", &teacher_images)?;
        let [_, embeddings] = student.forward(g, "student", &images)?;
        let inputs = LossInputs {
            teacher: observed[1],
            student: embeddings,
            student_prototypes: student.head.weight_v,
            teacher_prototypes: teacher.head.weight_v,
            permutation,
        };
        let terms = g.scope("loss", |g| g.carp_loss(inputs, config.partition_size))?;
        for term in [terms.loss, terms.consistency, terms.entropy] {
            g.keep(term);
        }
        if let Some(algorithm) = config.conv.forced() {
            g.convolve_by(algorithm);
        }
        // The fused kernels have the gradient of C + H only.
        let (trained, passes) = if config.entropy_term {
            (terms.loss, config.loss_variant.limit(&config.passes))
        } else {
            (terms.consistency, LossVariant::without_loss(&config.passes))
        };
        g.fuse(&passes);

        let weights = student.trained(g);
        let share = 1.0 / config.accumulation as f32;
        let seed = g.in_phase(Phase::Backward, |g| g.fill([1], share));
        let mut grads = Vec::new();
        for (&weight, grad) in weights.iter().zip(g.backward(&[(trained, seed)], &weights)?) {
            let grad = grad.ok_or_else(|| {
                let name = &g.info(weight).name;
                Error::setting("carp_step", format!("{name} does not reach the loss"))
            })?;
            grads.push(accumulated(g, config, scalars.keep, weight, grad)?);
        }

        let optimizer_state = g.in_phase(Phase::Update, |g| -> Result<_> {
            g.scope("ema", |g| {
                for (&student, teacher) in weights.iter().zip(teacher.trained(g)) {
                    g.ema(scalars.teacher_momentum, student, teacher)?;
                }
                Ok(())
            })?;
            g.scope("optimizer", |g| updates(g, config.optimizer, &scalars, &weights, &grads))
        })?;
        g.fuse(&passes);

        let autograd::LossTerms { consistency, entropy, .. } = terms;
        let step = Step {
            observed,
            prototypes: teacher.head.weight_v,
            student,
            teacher,
            views,
            permutation,
            scalars,
            loss: trained,
            consistency,
            entropy,
            optimizer_state,
            gradient_sums: if config.accumulation > 1 { grads } else { Vec::new() },
        };
        Ok((graph, step))
    }

    /// Pairs (student, teacher) of all tensors, running statistics included.
    pub fn pairs(&self) -> impl Iterator<Item = (Value, Value)> + '_ {
        let teacher = self.teacher.params.all().iter();
        self.student.params.all().iter().zip(teacher).map(|(s, t)| (s.value, t.value))
    }
}

/// One input per run of consecutive views of one size.
fn view_inputs(graph: &mut Graph, config: &StepConfig) -> Vec<ViewGroup> {
    let mut groups = Vec::new();
    let mut first = 0;
    for run in config.view_sizes.chunk_by(|a, b| a == b) {
        let (count, size) = (run.len(), run[0]);
        let shape = [count * config.batch, size, size, config.resnet.in_channels];
        let images = graph.input(&format!("views.{first}"), shape);
        groups.push(ViewGroup { images, first, count, size });
        first += count;
    }
    groups
}

/// Views 0 and 1, taken from the groups.
fn teacher_views(
    graph: &mut Graph,
    config: &StepConfig,
    groups: &[ViewGroup],
) -> Result<Vec<Value>> {
    let mut missing = 2;
    let mut images = Vec::new();
    for group in groups {
        let count = group.count.min(missing);
        if count == group.count {
            images.push(group.images);
        } else if count > 0 {
            images.push(graph.slice_rows(group.images, 0, count * config.batch)?);
        }
        missing -= count;
    }
    Ok(images)
}

/// The gradient itself, or with accumulation its running sum.
fn accumulated(
    graph: &mut Graph,
    config: &StepConfig,
    keep: Value,
    weight: Value,
    grad: Value,
) -> Result<Value> {
    if config.accumulation == 1 {
        return Ok(grad);
    }
    let info = graph.info(weight);
    let (name, shape) = (format!("gradient.{}", info.name), info.shape);
    let sum = graph.state(&name, shape);
    graph.in_phase(Phase::Backward, |graph| graph.accumulate(keep, grad, sum))?;
    Ok(sum)
}

/// The settings of one tensor's update.
#[derive(Clone, Copy, Debug)]
pub struct OptimizerScalars {
    /// Learning rate.
    pub lr: Value,
    /// Weight decay.
    pub weight_decay: Value,
    /// With AdamW: as in [`Scalars`].
    pub correction: Value,
}

/// The optimizer's ops. Weight decay and LARS's scaling apply only to tensors with more than one
/// dimension (docs/method.md, 1.8).
fn updates(
    graph: &mut Graph,
    optimizer: Optimizer,
    scalars: &Scalars,
    weights: &[Value],
    grads: &[Value],
) -> Result<Vec<Value>> {
    let no_decay = graph.input("no_decay", [1]);
    let Scalars { lr, correction, .. } = *scalars;
    let mut state = Vec::new();
    for (&weight, &grad) in weights.iter().zip(grads) {
        let is_matrix = graph.shape(weight).len() > 1;
        let weight_decay = if is_matrix { scalars.weight_decay } else { no_decay };
        let scalars = OptimizerScalars { lr, weight_decay, correction };
        optimizer_step(graph, optimizer, scalars, weight, grad, &mut state)?;
    }
    Ok(state)
}

/// Updates one tensor, and appends its optimizer state to `state`: named `momentum.*`, or `first.*`
/// and `second.*`, initially zero. LARS does not scale 1-D tensors: they take a plain SGD step.
///
/// # Errors
/// A gradient of another shape.
pub fn optimizer_step(
    graph: &mut Graph,
    optimizer: Optimizer,
    scalars: OptimizerScalars,
    weight: Value,
    grad: Value,
    state: &mut Vec<Value>,
) -> Result<()> {
    let info = graph.info(weight);
    let (name, shape) = (info.name.clone(), info.shape);
    let OptimizerScalars { lr, weight_decay, correction } = scalars;
    let settings = (lr, weight_decay);
    let mut buffer = |graph: &mut Graph, kind: &str| {
        let buffer = graph.state(&format!("{kind}.{name}"), shape);
        state.push(buffer);
        buffer
    };
    match optimizer {
        Optimizer::Lars { momentum, eta } if shape.len() > 1 => {
            let momentum_buffer = buffer(graph, "momentum");
            graph.lars((momentum, eta), settings, grad, weight, momentum_buffer)
        }
        Optimizer::Lars { momentum, .. } | Optimizer::Sgd { momentum } => {
            let momentum_buffer = buffer(graph, "momentum");
            graph.sgd(momentum, settings, grad, weight, momentum_buffer)
        }
        Optimizer::AdamW(adamw) => {
            let moments = (buffer(graph, "first"), buffer(graph, "second"));
            graph.adamw(adamw, (lr, weight_decay, correction), grad, weight, moments)
        }
    }
}
