//! The list with copies of dropped nodes.

use tensor::Kernel;

use crate::graph::{Graph, Kind, Node, Phase, Value};
use crate::trace::{node_bytes, node_flops};

/// Operations that a machine does in the time in which it moves a byte, about.
const FLOPS_PER_BYTE: u64 = 10;

/// A node that can run again, without what it does to state.
pub struct Copy {
    pub node: Node,
    /// Its work, in floating-point operations.
    pub work: u64,
}

impl Copy {
    /// The copy of a node of the forward pass, unless it changes state in a way that cannot be left
    /// out.
    fn of(graph: &Graph, node: &Node) -> Option<Copy> {
        let (kernel, inputs, outputs) = match node.kernel {
            Kernel::BatchNorm(norm) | Kernel::BatchNormFromSums(norm) => {
                let statistics = &node.outputs[1..3];
                let (first, sums_and_residual) = node.inputs.split_at(3);
                let sums = usize::from(matches!(node.kernel, Kernel::BatchNormFromSums(_)));
                let inputs = [first, statistics, &sums_and_residual[sums..]].concat();
                (Kernel::BatchNormApply(norm), inputs, vec![node.outputs[0]])
            }
            Kernel::Conv2dSums(conv) => {
                (Kernel::Conv2d(conv), node.inputs.clone(), vec![node.outputs[0]])
            }
            kernel => (kernel, node.inputs.clone(), node.outputs.clone()),
        };
        let is_pure = outputs.iter().all(|v| graph.info(*v).kind == Kind::Temp);
        let layer = node.layer.clone();
        let node = Node { kernel, inputs, outputs, phase: Phase::Backward, again: true, layer };
        let moved = node_bytes(graph, &node) as u64;
        let work = node_flops(graph, &node) + FLOPS_PER_BYTE * moved;
        is_pure.then_some(Copy { node, work })
    }
}

/// What becomes of a node's results when the forward pass no longer needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// They wait for the gradient.
    Keep,
    /// They are made anew once, and then wait for whoever else reads them.
    Once,
    /// They are made anew for each that reads them.
    Always,
}

/// A rewritten list. Its values are numbered: first the graph's, then those made anew.
pub struct List {
    pub ops: Vec<Op>,
    /// The values of all ops, inputs before outputs.
    values: Vec<usize>,
    /// The graph's value that each number stands for.
    pub origins: Vec<usize>,
}

/// An op of a rewritten list.
#[derive(Clone, Copy)]
pub struct Op {
    pub node: usize,
    /// It is the node's copy.
    pub again: bool,
    /// Where its inputs, its outputs and the next op's inputs begin in `List::values`.
    places: [usize; 3],
}

impl List {
    fn push(
        &mut self,
        node: usize,
        again: bool,
        inputs: impl Iterator<Item = usize>,
        outputs: impl Iterator<Item = usize>,
    ) {
        let start = self.values.len();
        self.values.extend(inputs);
        let middle = self.values.len();
        self.values.extend(outputs);
        self.ops.push(Op { node, again, places: [start, middle, self.values.len()] });
    }

    pub fn inputs(&self, op: &Op) -> &[usize] {
        &self.values[op.places[0]..op.places[1]]
    }

    pub fn outputs(&self, op: &Op) -> &[usize] {
        &self.values[op.places[1]..op.places[2]]
    }
}

/// The nodes of a graph and their copies.
pub struct Copies<'a> {
    pub graph: &'a Graph,
    /// By node.
    pub of_node: Vec<Option<Copy>>,
    /// By value: the node whose copy makes it.
    makers: Vec<Option<usize>>,
}

impl<'a> Copies<'a> {
    pub fn new(graph: &'a Graph) -> Copies<'a> {
        let copy = |node: &Node| match node.phase {
            Phase::Forward => Copy::of(graph, node),
            _ => None,
        };
        let of_node: Vec<Option<Copy>> = graph.nodes.iter().map(copy).collect();
        let mut makers = vec![None; graph.values.len()];
        for (at, copy) in of_node.iter().enumerate() {
            for v in copy.iter().flat_map(|copy| &copy.node.outputs) {
                makers[v.index()] = Some(at);
            }
        }
        Copies { graph, of_node, makers }
    }

    /// The copy that an op is.
    pub fn of(&self, op: &Op) -> Option<&Copy> {
        self.of_node[op.node].as_ref().filter(|_| op.again)
    }

    /// The list with these choices, one per node.
    pub fn list(&self, choices: &[Choice]) -> List {
        let values = self.makers.len();
        let (ops, numbers) = (Vec::new(), Vec::with_capacity(4 * values));
        let list = List { ops, values: numbers, origins: (0..values).collect() };
        let (made_for, newest) = (vec![None; choices.len()], vec![0; values]);
        Writer { copies: self, choices, list, made_for, newest, begun: 0, read: Vec::new() }.write()
    }

    /// The graph with this list.
    pub fn rewritten(&self, list: &List) -> Graph {
        let mut graph = self.graph.clone();
        for &v in &list.origins[self.makers.len()..] {
            let info = &self.graph.values[v];
            graph.temp(info.shape, info.dtype);
        }
        let values = |numbers: &[usize]| numbers.iter().map(|&v| Value(v as u32)).collect();
        let node = |op: &Op| {
            let node = self.of(op).map_or(&self.graph.nodes[op.node], |copy| &copy.node);
            let (inputs, outputs) = (values(list.inputs(op)), values(list.outputs(op)));
            Node { inputs, outputs, ..node.clone() }
        };
        graph.nodes = list.ops.iter().map(node).collect();
        graph
    }
}

/// A list being written.
struct Writer<'a> {
    copies: &'a Copies<'a>,
    choices: &'a [Choice],
    list: List,
    /// By node: the op that its last copy was made for.
    made_for: Vec<Option<usize>>,
    /// By the graph's value: the number of the last one made anew.
    newest: Vec<usize>,
    /// Ops begun, as they are told apart by `made_for`.
    begun: usize,
    /// The inputs of the ops that are begun but not in the list yet.
    read: Vec<usize>,
}

impl Writer<'_> {
    fn write(mut self) -> List {
        for (at, node) in self.copies.graph.nodes.iter().enumerate() {
            let first = self.read.len();
            match node.phase {
                Phase::Forward => self.read.extend(node.inputs.iter().map(|v| v.index())),
                _ => self.read(&node.inputs),
            }
            let outputs = node.outputs.iter().map(|v| v.index());
            self.list.push(at, false, self.read.drain(first..), outputs);
        }
        self.list
    }

    /// Appends the numbers of the values that the next op reads to `read`, and the copies that make
    /// them to the list.
    fn read(&mut self, values: &[Value]) {
        self.begun += 1;
        let reader = self.begun;
        for &v in values {
            let number = self.made(v, reader);
            self.read.push(number);
        }
    }

    fn made(&mut self, v: Value, reader: usize) -> usize {
        let v = v.index();
        let Some(node) = self.copies.makers[v] else { return v };
        let is_there = match self.choices[node] {
            Choice::Keep => return v,
            Choice::Once => self.made_for[node].is_some(),
            Choice::Always => self.made_for[node] == Some(reader),
        };
        if !is_there {
            let copy = self.copies.of_node[node].as_ref().expect("makers have copies");
            let first = self.read.len();
            self.read(&copy.node.inputs);
            let new = self.list.origins.len();
            for v in copy.node.outputs.iter().map(|v| v.index()) {
                self.newest[v] = self.list.origins.len();
                self.list.origins.push(v);
            }
            let outputs = new..self.list.origins.len();
            self.list.push(node, true, self.read.drain(first..), outputs);
            self.made_for[node] = Some(reader);
        }
        self.newest[v]
    }
}
