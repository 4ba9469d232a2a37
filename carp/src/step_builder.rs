//! A step's forward pass under construction, for a method to put together.

use std::ops::Range;

use autograd::{Error, Graph, Result, Shards, Value};

use crate::networks::{Network, ViewGroup};
use crate::nn::{HeadConfig, Init, Mlp, MlpConfig, Params, ResNetConfig};

/// Settings of a step. The caller writes `keep` before each backward pass, the others before each
/// update; all are `[1]` but `correction`.
#[derive(Clone, Copy, Debug)]
pub struct Scalars {
    /// Learning rate.
    pub lr: Value,
    /// Weight decay of tensors with more than one dimension; others have none.
    pub weight_decay: Value,
    /// m of the teacher's moving average; where the teacher moves in the forward pass, written before
    /// that.
    pub teacher_momentum: Value,
    /// With accumulation: 0 in the first micro-batch of an update, 1 in the others.
    pub keep: Value,
    /// With AdamW: 1 - beta1^t and 1 - beta2^t, `[2]`.
    pub correction: Value,
}

/// Where in the step the teacher follows the student.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeacherMoves {
    /// In the forward pass, where the method says: MoCo v3, PCL v2, OBoW.
    InForward,
    /// Before the optimizer moves the student: CARP.
    BeforeOptimizer,
    /// After it: DINO, InfoMin, Triplet.
    AfterOptimizer,
}

/// Ops that a method appends after the gradients: they change what these still read.
pub type Afterwards = Box<dyn FnOnce(&mut Graph) -> Result<()>>;

/// The sizes of a step that its methods see.
#[derive(Clone, Debug)]
pub struct Sizes<'a> {
    /// The backbone.
    pub resnet: ResNetConfig,
    /// Widths of heads, and the number of prototypes.
    pub head: HeadConfig,
    /// N_B, prototypes in a block of CARP's partition.
    pub partition_size: usize,
    /// Draw it once.
    pub fixed_partition: bool,
    /// Train CARP on C + H, not on C alone.
    pub entropy_term: bool,
    /// Images of a micro-batch in one of its shards.
    pub shard_batch: usize,
    /// The micro-batch's shards.
    pub shards: Shards,
    /// Side of each view; views 0 and 1 are the global ones.
    pub view_sizes: &'a [usize],
    /// How many of them, the last ones, are patches of one crop.
    pub patches: usize,
    /// Images of an epoch: those of its whole batches. 0 if the data are not known.
    pub epoch_images: usize,
    /// Images of the data set.
    pub images: usize,
}

/// Layers that only the student has.
pub struct Predictor {
    name: String,
    layers: Mlp,
}

/// The graph of a step up to its loss.
pub struct StepBuilder<'a> {
    /// The graph; ops that are appended now belong to the forward pass.
    pub graph: Graph,
    /// Sizes.
    pub sizes: Sizes<'a>,
    /// The views' groups.
    pub views: Vec<ViewGroup>,
    /// Settings of the step.
    pub scalars: Scalars,
    /// The student's tensors.
    pub student: Params,
    /// The teacher's, which are the student's first; none without a teacher.
    pub teacher: Params,
    /// The method's own tensors, kept from step to step.
    pub state: Params,
    /// Where the teacher moves.
    pub teacher_moves: TeacherMoves,
    /// Tensors that the optimizer moves only where the scalar is 1; it is 0 elsewhere.
    pub frozen: Vec<(Value, Value)>,
    /// See [`Afterwards`].
    pub afterwards: Vec<Afterwards>,
}

impl<'a> StepBuilder<'a> {
    /// Inputs, and nothing else yet.
    pub fn new(sizes: Sizes<'a>) -> StepBuilder<'a> {
        let mut graph = Graph::of_shards(sizes.shards);
        let views = view_inputs(&mut graph, &sizes);
        let scalars = Scalars {
            lr: graph.input("lr", [1]),
            weight_decay: graph.input("weight_decay", [1]),
            teacher_momentum: graph.input("teacher_momentum", [1]),
            keep: graph.input("keep", [1]),
            correction: graph.input("correction", [2]),
        };
        StepBuilder {
            graph,
            sizes,
            views,
            scalars,
            student: Params::new(true),
            teacher: Params::new(false),
            state: Params::new(false),
            teacher_moves: TeacherMoves::BeforeOptimizer,
            frozen: Vec::new(),
            afterwards: Vec::new(),
        }
    }

    /// The network that is trained, named `student.*`: its head's layers, and this many prototypes.
    pub fn student(&mut self, layers: &MlpConfig, prototypes: Option<usize>) -> Network {
        let (g, resnet) = (&mut self.graph, &self.sizes.resnet);
        Network::new(g, &mut self.student, "student", resnet, (layers, prototypes))
    }

    /// The network that follows it, named `teacher.*`.
    pub fn teacher(&mut self, layers: &MlpConfig, prototypes: Option<usize>) -> Network {
        let (g, resnet) = (&mut self.graph, &self.sizes.resnet);
        Network::new(g, &mut self.teacher, "teacher", resnet, (layers, prototypes))
    }

    /// Layers over rows of `inputs` that only the student has, named `student.NAME.*`; after the
    /// student.
    pub fn predictor(&mut self, name: &str, inputs: usize, layers: &MlpConfig) -> Predictor {
        let StepBuilder { graph, student, .. } = self;
        let build = |g: &mut Graph| Mlp::new(g, student, inputs, layers);
        let layers = graph.scope("student", |g| g.scope(name, build));
        Predictor { name: name.to_owned(), layers }
    }

    /// The predictor's outputs of embeddings `[N,D]`.
    ///
    /// # Errors
    /// One row, if the predictor has batch norm.
    pub fn predicted(&mut self, predictor: &Predictor, z: Value) -> Result<Value> {
        let forward = |g: &mut Graph| predictor.layers.forward(g, z, true);
        self.graph.scope("student", |g| g.scope(&predictor.name, forward))
    }

    /// Prototypes `[count,D]` that only the student has, named `student.NAME.weight`; they start as
    /// PyTorch's linear layers do.
    pub fn prototypes(&mut self, name: &str, count: usize) -> Value {
        let StepBuilder { graph, student, sizes, .. } = self;
        let dim = sizes.head.bottleneck;
        let init = Init::Uniform(1.0 / (dim as f32).sqrt());
        let build = |g: &mut Graph| student.weight(g, "weight", [count, dim], init);
        graph.scope("student", |g| g.scope(name, build))
    }

    /// A tensor that the method keeps from step to step, named `state.*`.
    pub fn state(&mut self, name: &str, shape: &[usize], init: Init) -> Value {
        let StepBuilder { graph, state, .. } = self;
        graph.scope("state", |g| state.buffer(g, name, autograd::Shape::new(shape), init))
    }

    /// Moves the teacher here, in the forward pass.
    ///
    /// # Errors
    /// A teacher whose tensors are not the student's first.
    pub fn move_teacher(&mut self) -> Result<()> {
        self.teacher_moves = TeacherMoves::InForward;
        let StepBuilder { graph, scalars, student, teacher, .. } = self;
        follow(graph, scalars.teacher_momentum, student, teacher)
    }

    /// All views, a value per group.
    pub fn all_views(&self) -> Vec<Value> {
        self.views.iter().map(|group| group.images).collect()
    }

    /// Some consecutive views, a value per group that they are in.
    pub fn views_in(&mut self, views: Range<usize>) -> Vec<Value> {
        let batch = self.sizes.shard_batch;
        let mut images = Vec::new();
        for group in self.views.clone() {
            let first = views.start.max(group.first);
            let end = views.end.min(group.first + group.count);
            if first >= end {
                continue;
            }
            images.push(if end - first == group.count {
                group.images
            } else {
                let start = (first - group.first) * batch;
                let rows = (end - first) * batch;
                self.graph.slice_rows(group.images, start, rows).expect("rows of the group")
            });
        }
        images
    }

    /// The two views of a method that takes no more, each by itself: batch norm sees one at a time.
    ///
    /// # Errors
    /// More views.
    pub fn two_views(&mut self) -> Result<[Value; 2]> {
        let views = self.sizes.view_sizes.len();
        if views != 2 {
            let detail =
                format!("the method takes 2 views, not {views}: set views.local_count to 0");
            return Err(Error::setting("views", detail));
        }
        Ok([self.views_in(0..1)[0], self.views_in(1..2)[0]])
    }
}

/// Pairs (student, teacher) of the tensors that the teacher has: all but the running statistics.
/// Those of more than one dimension come first.
pub fn moving(graph: &Graph, student: &Params, teacher: &Params) -> Vec<(Value, Value)> {
    let pairs = student.all().iter().zip(teacher.all()).filter(|(_, t)| !t.is_buffer);
    let mut pairs: Vec<(Value, Value)> = pairs.map(|(s, t)| (s.value, t.value)).collect();
    pairs.sort_by_key(|&(weight, _)| graph.shape(weight).len() < 2);
    pairs
}

/// The teacher follows the student: `teacher = m teacher + (1 - m) student`.
///
/// # Errors
/// A teacher whose tensors are not the student's first.
pub fn follow(
    graph: &mut Graph,
    momentum: Value,
    student: &Params,
    teacher: &Params,
) -> Result<()> {
    let pairs = moving(graph, student, teacher);
    graph.scope("ema", |g| {
        pairs.into_iter().try_for_each(|(student, teacher)| g.ema(momentum, student, teacher))
    })
}

/// One input per run of consecutive views of one size.
fn view_inputs(graph: &mut Graph, sizes: &Sizes) -> Vec<ViewGroup> {
    let mut groups = Vec::new();
    let mut first = 0;
    for run in sizes.view_sizes.chunk_by(|a, b| a == b) {
        let (count, size) = (run.len(), run[0]);
        let shape = [count * sizes.shard_batch, size, size, sizes.resnet.in_channels];
        let images = graph.shard_input(&format!("views.{first}"), shape);
        graph.arrives(images);
        groups.push(ViewGroup { images, first, count, size });
        first += count;
    }
    groups
}
