//! One training step as a graph (docs/method.md, 1.3 to 1.7).
//!
//! The method puts the forward pass together from the views: for CARP, all views go through the
//! student, one backbone pass per resolution and one head pass for all of them, and views 0 and 1
//! through the teacher; the loss compares both. What follows is the same for all methods: the loss's
//! gradient flows back through the student; the teacher follows the student's weights; the optimizer
//! updates the student. The layers append plain ops; fusion passes merge them into fewer, larger
//! kernels.

use autograd::{Error, Graph, Passes, Phase, Result, Shards, Value};

use crate::conv::ConvChoice;
use crate::loss::LossVariant;
use crate::memory_budget::MemoryBudget;
use crate::method::{Hooks, MethodConfig, Partition};
pub use crate::networks::ViewGroup;
use crate::nn::{HeadConfig, Params, ResNetConfig};
use crate::optimizer::{Optimizer, OptimizerScalars, clipped, optimizer_step};
use crate::step_builder::{Scalars, Sizes, StepBuilder, TeacherMoves, follow, moving};

/// What determines the graph of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepConfig {
    /// The method.
    pub method: MethodConfig,
    /// The backbone.
    pub resnet: ResNetConfig,
    /// The head.
    pub head: HeadConfig,
    /// N_B, prototypes in a block of the partition.
    pub partition_size: usize,
    /// Draw CARP's partition once, not anew for every micro-batch.
    pub fixed_partition: bool,
    /// Train CARP on C + H; false trains on C alone, op by op.
    pub entropy_term: bool,
    /// How much of CARP's loss is fused.
    pub loss_variant: LossVariant,
    /// Fusion passes to apply: see [`LossVariant::limit`].
    pub passes: Passes,
    /// How convolutions are computed.
    pub conv: ConvChoice,
    /// B, images in a micro-batch.
    pub batch: usize,
    /// S, equal shards of a micro-batch: docs/distributed.md.
    pub shards: usize,
    /// Processes that hold them; not part of what is computed.
    pub ranks: usize,
    /// Images of the data set, for methods that keep something of each; 0 if it is not open.
    pub images: usize,
    /// Side of each square view, in pixels; views 0 and 1 are the global ones.
    pub view_sizes: Vec<usize>,
    /// How many of the views, the last ones, are patches of one crop.
    pub patches: usize,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Whether weight decay is for 1-D tensors, too.
    pub decay_vectors: bool,
    /// The learning rate of 1-D tensors, as a share of the others'.
    pub vector_lr: f32,
    /// Largest norm of each tensor's gradient; 0 is no bound.
    pub clip_norm: f32,
    /// Most bytes of the step's arena: see [`planned_step`](crate::learner::planned_step).
    pub memory_budget: MemoryBudget,
}

/// Handles to all values that the caller of a step reads and writes.
pub struct Step {
    /// The trained network's tensors, named `student.*`.
    pub student: Params,
    /// Those of its moving average, named `teacher.*`; none in a method without one.
    pub teacher: Params,
    /// The method's own tensors, named `state.*`.
    pub state: Params,
    /// Input: the views.
    pub views: Vec<ViewGroup>,
    /// Input: the settings of the step.
    pub scalars: Scalars,
    /// Whether a number of the loss or of what feeds the update is infinite or NaN (1, else 0); then the
    /// loss of the micro-batch, and CARP's two terms.
    pub report: Value,
    /// What only CARP has.
    pub partition: Option<Partition>,
    /// The method's work outside of the graph.
    pub hooks: Box<dyn Hooks>,
    /// Where the teacher moves.
    pub teacher_moves: TeacherMoves,
    /// The optimizer's state, named `optimizer.*`, initially zero.
    pub optimizer_state: Vec<Value>,
    /// With accumulation: the sums of gradients, named `gradient.*`.
    pub gradient_sums: Vec<Value>,
}

impl Step {
    /// Builds the graph of a step. Its `Forward` phase ends with the loss; `Update` holds the ops of
    /// the optimizer, and of the teacher unless it moves in the forward pass. Where loss or gradients are
    /// not finite, no op behind the gradients changes anything that is kept.
    ///
    /// # Errors
    /// Fewer than two views, views too small for the backbone, a batch too small for batch norm, sizes
    /// that the method refuses.
    pub fn new(config: &StepConfig) -> Result<(Graph, Step)> {
        if config.view_sizes.len() < 2 || config.accumulation == 0 {
            let detail = format!(
                "{} views and {} micro-batches per update; needs at least 2 views and 1",
                config.view_sizes.len(),
                config.accumulation
            );
            return Err(Error::setting("step", detail));
        }
        config.check_shards()?;
        let mut builder = StepBuilder::new(config.sizes());
        let built = config.method.build(&mut builder)?;
        let StepBuilder { mut graph, student, teacher, state, .. } = builder;
        let StepBuilder { views, scalars, teacher_moves, frozen, afterwards, .. } = builder;
        let g = &mut graph;
        let mut terms = vec![built.loss];
        terms.extend(built.partition.iter().flat_map(|of| [of.consistency, of.entropy]));
        terms.iter().for_each(|&term| g.keep(term));
        if let Some(algorithm) = config.conv.forced() {
            g.convolve_by(algorithm);
        }
        // The fused kernels have the gradient of C + H only.
        let passes = if config.entropy_term {
            config.loss_variant.limit(&config.passes)
        } else {
            LossVariant::without_loss(&config.passes)
        };
        g.fuse(&passes);
        g.split_batch_norm()?;

        let weights = trained(g, &student, &teacher);
        if let Optimizer::Lars { .. } = config.optimizer {
            weights.iter().try_for_each(|&weight| check_counted(g, weight))?;
        }
        let share = 1.0 / config.accumulation as f32;
        let seed = g.in_phase(Phase::Backward, |g| g.fill([1], share));
        let mut grads = Vec::new();
        for (&weight, grad) in weights.iter().zip(g.backward(&[(built.loss, seed)], &weights)?) {
            let grad = grad.ok_or_else(|| {
                let name = &g.info(weight).name;
                Error::setting("step", format!("{name} does not reach the loss"))
            })?;
            grads.push(accumulated(g, config, scalars.keep, weight, grad)?);
        }
        g.in_phase(Phase::Backward, |g| afterwards.into_iter().try_for_each(|append| append(g)))?;

        let optimizer_state = g.in_phase(Phase::Update, |g| -> Result<_> {
            let ema = |g: &mut Graph, place| match place == teacher_moves {
                true => follow(g, scalars.teacher_momentum, &student, &teacher),
                false => Ok(()),
            };
            ema(g, TeacherMoves::BeforeOptimizer)?;
            let state = g.scope("optimizer", |g| {
                updates(g, config, &scalars, &frozen, weights.iter().zip(&grads))
            })?;
            ema(g, TeacherMoves::AfterOptimizer)?;
            Ok(state)
        })?;
        g.fuse(&passes);
        let report = g.guard_updates(&terms);

        let step = Step {
            student,
            teacher,
            state,
            views,
            scalars,
            report,
            partition: built.partition,
            hooks: built.hooks,
            teacher_moves,
            optimizer_state,
            gradient_sums: if config.accumulation > 1 { grads } else { Vec::new() },
        };
        Ok((graph, step))
    }

    /// Pairs (student, teacher) of all tensors, running statistics included.
    pub fn pairs(&self) -> impl Iterator<Item = (Value, Value)> + '_ {
        let teacher = self.teacher.all().iter();
        self.student.all().iter().zip(teacher).map(|(s, t)| (s.value, t.value))
    }
}

impl StepConfig {
    /// Images of a micro-batch in one shard.
    pub fn shard_batch(&self) -> usize {
        self.batch / self.shards
    }

    /// Shards of one of the ranks.
    pub fn local_shards(&self) -> usize {
        self.shards / self.ranks
    }

    fn check_shards(&self) -> Result<()> {
        let StepConfig { shards, ranks, batch, .. } = *self;
        if !shards.is_power_of_two() || !batch.is_multiple_of(shards) {
            let detail = format!(
                "{shards}, should be a power of two that divides train.batch_size = {batch}"
            );
            return Err(Error::setting("train.shards", detail));
        }
        if ranks == 0 || !shards.is_multiple_of(ranks) {
            let detail = format!("{ranks} cannot share train.shards = {shards} equally");
            return Err(Error::setting("ranks", detail));
        }
        if shards > 1 && self.method != MethodConfig::Carp {
            let detail = format!("{shards}, but only carp can train in shards");
            return Err(Error::setting("train.shards", detail));
        }
        if shards > 1 && self.memory_budget.0.is_some() {
            let detail = format!("{shards}, but train.memory_budget takes a batch in one shard");
            return Err(Error::setting("train.shards", detail));
        }
        Ok(())
    }

    fn sizes(&self) -> Sizes<'_> {
        Sizes {
            resnet: self.resnet,
            head: self.head,
            partition_size: self.partition_size,
            fixed_partition: self.fixed_partition,
            entropy_term: self.entropy_term,
            shard_batch: self.shard_batch(),
            shards: Shards { all: self.shards, local: self.local_shards() },
            view_sizes: &self.view_sizes,
            patches: self.patches,
            epoch_images: self.images / self.batch.max(1) * self.batch,
            images: self.images,
        }
    }
}

/// All weights, in an order in which each of these lies in one piece: those of more than one
/// dimension, which decay; the others; and of both those that the teacher has, too.
fn trained(graph: &Graph, student: &Params, teacher: &Params) -> Vec<Value> {
    let moving = moving(graph, student, teacher);
    let is_alone = |value: &Value| !moving.iter().any(|(student, _)| student == value);
    let alone: Vec<Value> = student.weights().map(|param| param.value).filter(is_alone).collect();
    let (vectors, matrices): (Vec<Value>, Vec<Value>) =
        alone.into_iter().partition(|&weight| graph.shape(weight).len() < 2);
    let moving = moving.into_iter().map(|(student, _)| student);
    matrices.into_iter().chain(moving).chain(vectors).collect()
}

/// Fails if a weight has more elements than LARS counts, naming the setting that sizes it.
///
/// # Errors
/// As above.
fn check_counted(graph: &Graph, weight: Value) -> Result<()> {
    let info = graph.info(weight);
    if u32::try_from(info.shape.elements()).is_ok() {
        return Ok(());
    }
    let setting = match &info.name {
        name if name.contains(".backbone.") => "model.width",
        name if name.contains("prototypes") || name.contains("last_layer") => "model.prototypes",
        _ => "model.hidden",
    };
    let detail = format!(
        "too large for optimizer.name = lars: {} {} has more elements than a u32 counts",
        info.name, info.shape
    );
    Err(Error::setting(setting, detail))
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

/// The optimizer's ops. Weight decay and LARS's scaling apply only to tensors with more than one
/// dimension (docs/method.md, 1.8), unless settings say otherwise.
fn updates<'a>(
    graph: &mut Graph,
    config: &StepConfig,
    scalars: &Scalars,
    frozen: &[(Value, Value)],
    weights: impl Iterator<Item = (&'a Value, &'a Value)>,
) -> Result<Vec<Value>> {
    let no_decay = graph.input("no_decay", [1]);
    let Scalars { lr, weight_decay, correction, .. } = *scalars;
    let vector_lr = if config.vector_lr == 1.0 { lr } else { graph.scale(lr, config.vector_lr) };
    let mut state = Vec::new();
    for (&weight, &grad) in weights {
        let is_matrix = graph.shape(weight).len() > 1;
        let mut lr = if is_matrix { lr } else { vector_lr };
        let decays = is_matrix || config.decay_vectors || config.optimizer.decays_vectors();
        let mut weight_decay = if decays { weight_decay } else { no_decay };
        let mut grad = grad;
        if config.clip_norm > 0.0 {
            grad = clipped(graph, grad, config.clip_norm)?;
        }
        // Without rate, decay and gradient, neither weight nor momentum moves.
        if let Some(&(_, moves)) = frozen.iter().find(|(value, _)| *value == weight) {
            lr = graph.mul(lr, moves)?;
            weight_decay = graph.mul(weight_decay, moves)?;
            grad = graph.scale_by(moves, grad)?;
        }
        let scalars = OptimizerScalars { lr, weight_decay, correction };
        optimizer_step(graph, config.optimizer, scalars, weight, grad, &mut state)?;
    }
    Ok(state)
}
