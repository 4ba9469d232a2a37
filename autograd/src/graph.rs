//! The list of ops that a step is.

use std::fmt::Write as _;
use std::sync::Arc;

use tensor::{Backend, Error, Result, Shape, Slot};

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
    /// Written by the caller before a step; lives throughout.
    Input,
    /// Trained by the step; lives throughout.
    Param,
    /// Kept from step to step but not trained (running statistics, teacher, momentum).
    State,
    /// Made by one op and dead after its last use.
    Temp,
}

/// What the 4 bytes of an element are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// A number.
    F32,
    /// An index.
    U32,
}

/// What the graph knows of a value.
#[derive(Clone, Debug)]
pub struct ValueInfo {
    /// Full name: for parameters the one in checkpoints, such as `student.backbone.conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its lifetime.
    pub kind: Kind,
    /// Its element type.
    pub dtype: DType,
    /// Kept readable until the step ends, though a `Temp`.
    pub kept: bool,
}

/// The parts that a step can be run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From the inputs to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// From the gradients to new weights.
    Update,
}

/// Where the parts of a node lie in the arena.
pub struct Io {
    /// One slot per input.
    pub inputs: Vec<Slot>,
    /// One slot per output.
    pub outputs: Vec<Slot>,
    /// The op's scratch memory.
    pub workspace: Slot,
}

/// An op: what it costs, how it runs, and which ops are its gradient. The shape rule stands in the
/// `Graph` method that appends it.
pub trait Op: Send + Sync {
    /// As `trace` prints it.
    fn name(&self) -> &'static str;

    /// Floating-point operations, for outputs of these shapes.
    fn flops(&self, outputs: &[Shape]) -> u64 {
        outputs.first().map_or(0, |shape| shape.elements() as u64)
    }

    /// Scratch memory in elements.
    fn workspace(&self, _backend: &dyn Backend) -> usize {
        0
    }

    /// The input whose memory output 0 may take over if the input dies here.
    fn in_place(&self) -> Option<usize> {
        None
    }

    /// Calls the kernel.
    fn run(&self, backend: &mut dyn Backend, io: &Io);

    /// The vector-Jacobian product: appends ops that turn the gradients of the outputs (`None`: it
    /// is zero) into gradients of the inputs. `wanted` says which inputs need one.
    ///
    /// # Errors
    /// Ops without a gradient say so.
    fn vjp(
        &self,
        _graph: &mut Graph,
        _node: &Node,
        _grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        Err(Error::setting(self.name(), "this op has no gradient"))
    }
}

/// One op in the list.
#[derive(Clone)]
pub struct Node {
    /// The op with its settings.
    pub op: Arc<dyn Op>,
    /// Values it reads.
    pub inputs: Vec<Value>,
    /// Values it writes; persistent values among them are updated in place.
    pub outputs: Vec<Value>,
    /// The layer that appended it, such as `student.backbone.layer1.0.conv1`.
    pub layer: String,
    /// The part of the step it belongs to.
    pub phase: Phase,
}

/// A static graph: values and the ops between them, in the order in which they run.
#[derive(Default)]
pub struct Graph {
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) nodes: Vec<Node>,
    layer: String,
    phase: Option<Phase>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Appends what `body` appends, with `name` added to the layer's path.
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

    /// Appends what `body` appends as part of `phase`; outside of it ops belong to `Forward`.
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

    /// A trained tensor.
    pub fn param(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::Param, DType::F32)
    }

    /// A tensor that is kept from step to step but not trained.
    pub fn state(&mut self, name: &str, shape: impl Into<Shape>) -> Value {
        self.value(name, shape.into(), Kind::State, DType::F32)
    }

    /// Keeps a value readable until the step ends.
    pub fn keep(&mut self, value: Value) {
        self.values[value.index()].kept = true;
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> Shape {
        self.values[value.index()].shape
    }

    /// All that is known of a value.
    pub fn info(&self, value: Value) -> &ValueInfo {
        &self.values[value.index()]
    }

    /// All values, in the order of their making.
    pub fn values(&self) -> impl Iterator<Item = (Value, &ValueInfo)> {
        self.values.iter().enumerate().map(|(i, info)| (Value(i as u32), info))
    }

    /// All ops, in the order in which they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Appends an op that makes new values of the given shapes, and returns them.
    pub(crate) fn push<const N: usize>(
        &mut self,
        op: impl Op + 'static,
        inputs: &[Value],
        shapes: [Shape; N],
    ) -> [Value; N] {
        let outputs = shapes.map(|shape| self.value("", shape, Kind::Temp, DType::F32));
        self.push_node(op, inputs, outputs.to_vec());
        outputs
    }

    /// Appends an op that writes the given values, persistent ones among them.
    pub(crate) fn push_node(
        &mut self,
        op: impl Op + 'static,
        inputs: &[Value],
        outputs: Vec<Value>,
    ) {
        self.nodes.push(Node {
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            outputs,
            layer: self.layer.clone(),
            phase: self.phase.unwrap_or(Phase::Forward),
        });
    }

    /// A new `Temp` for [`Graph::push_node`].
    pub(crate) fn temp(&mut self, shape: Shape, dtype: DType) -> Value {
        self.value("", shape, Kind::Temp, dtype)
    }

    /// Errors unless the two values have one shape.
    pub(crate) fn same_shape(&self, op: &'static str, a: Value, b: Value) -> Result<()> {
        let (a, b) = (self.shape(a), self.shape(b));
        if a == b { Ok(()) } else { Err(Error::shape(op, format!("shapes {a} and {b} differ"))) }
    }
}
