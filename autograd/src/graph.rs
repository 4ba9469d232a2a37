//! A step as a list of kernels.

use std::fmt::Write as _;

use tensor::arena::ALIGN;
pub use tensor::arena::DType;
use tensor::shards::Shards;
use tensor::{Error, Kernel, Result, Shape};

/// A handle to a tensor of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) u32);

impl Value {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How long a value lives and who writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written by the caller before a step; persistent.
    Input,
    /// Trained by the step; persistent.
    Param,
    /// Kept from step to step but not trained (running statistics, teacher, momentum).
    State,
    /// Known when the graph is built: written once, when the arena is opened.
    Constant,
    /// Written by one kernel and dead after its last use.
    Temp,
    /// Covers others, of one of the kinds above, that lie one behind the other.
    Span,
}

/// The graph's information about a value.
#[derive(Clone, Debug)]
pub struct ValueInfo {
    /// Full name; for parameters as in checkpoints, such as `student.backbone.conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its lifetime.
    pub kind: Kind,
    /// The type of its numbers in memory.
    pub dtype: DType,
    /// A `Temp` kept readable until the end of the step.
    pub kept: bool,
}

impl ValueInfo {
    /// Elements of an arena, of 4 bytes, that it takes.
    pub fn words(&self) -> usize {
        self.dtype.words(self.shape.elements())
    }
}

/// The phases of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the inputs to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// From the gradients to new weights.
    Update,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 3] = [Phase::Forward, Phase::Backward, Phase::Update];
}

/// One kernel in the list.
#[derive(Clone, Debug)]
pub struct Node {
    /// The kernel with its sizes and settings.
    pub kernel: Kernel,
    /// Values it reads.
    pub inputs: Vec<Value>,
    /// Values it writes; persistent values among them are updated in place.
    pub outputs: Vec<Value>,
    /// The layer that appended it, such as `student.backbone.layer1.0.conv1`.
    pub layer: String,
    /// Its phase of the step.
    pub phase: Phase,
    /// It makes an activation anew: see [`crate::recompute`].
    pub again: bool,
}

/// Contiguous values, and the value that covers them all.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// From the start of the first member to the end of the last.
    pub whole: Value,
    /// In order; each starts at the next multiple of [`ALIGN`] elements.
    pub members: Vec<Value>,
}

/// A node's gradients by its inputs; none where it is zero or not wanted.
pub(crate) type Gradients = Result<Vec<Option<Value>>>;

/// A static graph: values and the kernels between them, in execution order.
#[derive(Clone, Default)]
pub struct Graph {
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) spans: Vec<Span>,
    pub(crate) constants: Vec<(Value, Vec<u32>)>,
    /// Values that no gradient passes through.
    pub(crate) detached: Vec<Value>,
    pub(crate) shards: Shards,
    /// Inputs of which every shard has its own.
    pub(crate) sharded: Vec<Value>,
    /// Inputs that may be written while the step before runs.
    pub(crate) arriving: Vec<Value>,
    layer: String,
    phase: Option<Phase>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Runs `body` with `name` added to the layer's path.
    pub fn scope<T>(&mut self, name: &str, body: impl FnOnce(&mut Graph) -> T) -> T {
        let outer = self.layer.len();
        if outer > 0 && !name.is_empty() {
            self.layer.push('.');
        }
        self.layer.push_str(name);
        let result = body(self);
        self.layer.truncate(outer);
        result
    }

    /// Runs `body` with ops assigned to `phase`; elsewhere they belong to `Forward`.
    pub fn in_phase<T>(&mut self, phase: Phase, body: impl FnOnce(&mut Graph) -> T) -> T {
        let outer = self.phase.replace(phase);
        let result = body(self);
        self.phase = outer;
        result
    }

    /// As [`Graph::scope`], with `layer` as the whole path.
    pub(crate) fn in_layer<T>(&mut self, layer: &str, body: impl FnOnce(&mut Graph) -> T) -> T {
        let outer = std::mem::replace(&mut self.layer, layer.to_owned());
        let result = body(self);
        self.layer = outer;
        result
    }

    fn value(&mut self, name: &str, shape: Shape, kind: Kind, dtype: DType) -> Value {
        let mut full = self.layer.clone();
        if !full.is_empty() && !name.is_empty() {
            full.push('.');
        }
        let _ = write!(full, "{name}");
        self.values.push(ValueInfo { name: full, shape, kind, dtype, kept: false });
        Value(self.values.len() as u32 - 1)
    }

    /// A tensor that the caller writes before a step.
    pub fn input(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::Input, DType::F32)
    }

    /// Indices that the caller writes before a step.
    pub fn input_u32(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::Input, DType::U32)
    }

    /// Gives an input a second place on devices that copy beside their kernels, where it arrives while
    /// the step before runs.
    pub fn arrives(&mut self, input: Value) {
        self.arriving.push(input);
    }

    /// A trained tensor.
    pub fn param(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::Param, DType::F32)
    }

    /// A tensor that is kept from step to step but not trained.
    pub fn state(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::State, DType::F32)
    }

    /// Indices that never change.
    pub fn constant_u32(&mut self, name: &str, data: Vec<u32>) -> Value {
        let value = self.value(name, Shape::from([data.len()]), Kind::Constant, DType::U32);
        self.constants.push((value, data));
        value
    }

    /// Numbers that never change, row by row.
    ///
    /// # Panics
    /// If `data` does not have the shape's number of elements.
    pub fn constant(&mut self, name: &str, shape: impl Into<Shape>, data: &[f32]) -> Value {
        let value = self.value(name, shape.into(), Kind::Constant, DType::F32);
        assert_eq!(self.shape(value).elements(), data.len(), "numbers for {name}");
        self.constants.push((value, data.iter().map(|x| x.to_bits()).collect()));
        value
    }

    /// x as a constant: no gradient passes through the result.
    pub fn detach(&mut self, x: Value) -> Value {
        let y = self.apply(Kernel::Copy, &[x], self.shape(x));
        self.detached.push(y);
        y
    }

    /// Lays out `members`, all of one kind, contiguously in this order, and returns a value that
    /// covers them all, including the few elements of padding between them.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn span(&mut self, name: &str, members: Vec<Value>) -> Value {
        let (_, end) = *self.ranges(&members).last().expect("a span has members");
        let whole = self.value(name, Shape::from([end]), Kind::Span, DType::F32);
        self.spans.push(Span { whole, members });
        whole
    }

    /// What a span covers.
    pub(crate) fn members(&self, span: Value) -> Option<&[Value]> {
        let span = self.spans.iter().find(|known| known.whole == span)?;
        Some(&span.members)
    }

    /// Start and end of contiguous values, in elements from the first.
    pub(crate) fn ranges(&self, members: &[Value]) -> Vec<(usize, usize)> {
        let mut end = 0usize;
        let range = |member: &Value| {
            let start = end.next_multiple_of(ALIGN);
            end = start + self.shape(*member).elements();
            (start, end)
        };
        members.iter().map(range).collect()
    }

    /// Keeps a value readable until the step ends. Call it before [`Graph::fuse`], which may merge
    /// away what nobody keeps.
    pub fn keep(&mut self, value: Value) {
        self.values[value.index()].kept = true;
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> Shape {
        self.values[value.index()].shape
    }

    /// The information about a value.
    pub fn info(&self, value: Value) -> &ValueInfo {
        &self.values[value.index()]
    }

    /// All values, in creation order.
    pub fn values(&self) -> impl Iterator<Item = (Value, &ValueInfo)> {
        self.values.iter().enumerate().map(|(i, info)| (Value(i as u32), info))
    }

    /// All kernels, in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Places of the nodes of these phases, in order.
    pub fn places(&self, phases: &[Phase]) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&at| phases.contains(&self.nodes[at].phase)).collect()
    }

    /// Appends a kernel with one new output.
    pub(crate) fn apply(&mut self, kernel: Kernel, inputs: &[Value], shape: Shape) -> Value {
        let [y] = self.push(kernel, inputs, [shape]);
        y
    }

    /// Appends a kernel with new outputs of the given shapes, and returns them.
    pub(crate) fn push<const N: usize>(
        &mut self,
        kernel: Kernel,
        inputs: &[Value],
        shapes: [Shape; N],
    ) -> [Value; N] {
        let outputs = shapes.map(|shape| self.temp(shape, DType::F32));
        self.push_node(kernel, inputs, &outputs);
        outputs
    }

    /// Appends a kernel that writes the given values, persistent ones among them.
    pub(crate) fn push_node(&mut self, kernel: Kernel, inputs: &[Value], outputs: &[Value]) {
        self.nodes.push(Node {
            kernel,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            layer: self.layer.clone(),
            phase: self.phase.unwrap_or(Phase::Forward),
            again: false,
        });
    }

    /// A new `Temp` for [`Graph::push_node`].
    pub(crate) fn temp(&mut self, shape: Shape, dtype: DType) -> Value {
        self.value("", shape, Kind::Temp, dtype)
    }

    /// The numbers of a node's inputs and of its outputs.
    pub fn elements(&self, node: &Node) -> [Vec<usize>; 2] {
        self.sizes(node, |info| info.shape.elements())
    }

    /// Elements of an arena that a node's inputs take, and its outputs.
    pub fn words(&self, node: &Node) -> [Vec<usize>; 2] {
        self.sizes(node, ValueInfo::words)
    }

    fn sizes(&self, node: &Node, size: impl Fn(&ValueInfo) -> usize) -> [Vec<usize>; 2] {
        let sizes = |values: &[Value]| values.iter().map(|&v| size(self.info(v))).collect();
        [&node.inputs, &node.outputs].map(|values| sizes(values))
    }

    /// Fails unless the two values have the same shape.
    pub(crate) fn same_shape(&self, op: &'static str, a: Value, b: Value) -> Result<()> {
        let (a, b) = (self.shape(a), self.shape(b));
        if a == b { Ok(()) } else { Err(Error::shape(op, format!("shapes {a} and {b} differ"))) }
    }
}
