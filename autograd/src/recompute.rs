//! Less memory for more work: activations that are made anew where the gradient needs them.
//!
//! The gradient reads many results of the forward pass, which therefore wait, and most of a step's
//! memory is theirs. Dropping the results of a node lets them die after their last use in the forward
//! pass; a copy of the node then stands in the list before the first gradient that reads them. If what
//! the copy reads was dropped as well, it is made anew first, and so on back to results that are
//! there: these are the borders of a segment, as in Chen et al., *Training deep nets with sublinear
//! memory cost* (2016). A node is copied once, however often its results are read.
//!
//! Which nodes to drop is chosen greedily: that which takes away most of the byte-steps above the
//! budget (bytes too many, summed over the list) per unit of work. So the cheap ones go first, batch
//! norm and its ReLU before convolutions, and a segment that would grow too long ends by itself,
//! because its copies are then too many bytes at its end. At last, what turns out not to be needed is
//! kept after all.
//!
//! Copies read the same numbers and so give the same bits. Batch norm's copy uses the statistics that
//! the original has found, and leaves the running ones alone; other nodes that change state are never
//! copied.

use tensor::arena::ALIGN;
use tensor::{Device, Error, Kernel, Result};

use crate::graph::{Graph, Kind, Node, Phase, Value};
use crate::plan::Plan;
use crate::trace::{bytes, node_bytes, node_flops};

/// Operations that a machine does in the time in which it moves a byte, about.
const FLOPS_PER_BYTE: u64 = 10;
/// Tries to get a layout within the budget after its lower bound is.
const LAYOUTS: usize = 6;
/// The smallest budget is found to this part of the whole.
const PRECISION: usize = 200;
/// Budgets are told in multiples of this many bytes.
const UNIT: usize = 1024;

impl Graph {
    /// Rewrites the list so that its [`Plan`] for `device` takes at most `budget` bytes, at the least
    /// extra work that the search finds. A list that fits stays as it is. Call it last: the list must
    /// be whole.
    ///
    /// # Errors
    /// A budget that cannot be met: names the smallest that can.
    pub fn recompute(&mut self, device: &dyn Device, budget: usize) -> Result<()> {
        let plan = Plan::new(self, device);
        if plan.bytes() <= budget {
            return Ok(());
        }
        let search = Search::new(self, device, plan.persistent);
        let Some(found) = search.fitting(budget) else {
            let smallest = search.smallest(plan.bytes()) / UNIT;
            let detail = format!(
                "{} is too little: the smallest that works is {smallest}KiB; nothing is computed \
                 twice from {}KiB on",
                bytes(budget),
                plan.bytes().div_ceil(UNIT)
            );
            return Err(Error::setting("memory_budget", detail));
        };
        *self = found;
        Ok(())
    }
}

/// A node that can run again, without what it does to state.
struct Copy {
    kernel: Kernel,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    /// Its work, in floating-point operations.
    work: u64,
    workspace: usize,
}

impl Copy {
    /// The copy of a node of the forward pass, unless it changes state in a way that cannot be left
    /// out.
    fn of(graph: &Graph, node: &Node, device: &dyn Device) -> Option<Copy> {
        let (kernel, inputs, outputs) = match node.kernel {
            Kernel::BatchNorm(norm) => {
                let statistics = &node.outputs[1..3];
                let (first, residual) = node.inputs.split_at(3);
                let inputs = [first, statistics, residual].concat();
                (Kernel::BatchNormApply(norm), inputs, vec![node.outputs[0]])
            }
            kernel => (kernel, node.inputs.clone(), node.outputs.clone()),
        };
        let is_pure = outputs.iter().all(|v| graph.info(*v).kind == Kind::Temp);
        let copy = Node { kernel, inputs, outputs, ..node.clone() };
        let moved = node_bytes(graph, &copy) as u64;
        let work = node_flops(graph, &copy) + FLOPS_PER_BYTE * moved;
        let workspace = aligned(device.workspace(&kernel));
        let Node { inputs, outputs, .. } = copy;
        is_pure.then_some(Copy { kernel, inputs, outputs, work, workspace })
    }
}

/// An op of a rewritten list.
#[derive(Clone, Copy)]
struct Op {
    node: usize,
    /// The node's copy.
    again: bool,
}

/// The list to rewrite, with all that a rewrite needs to be judged by.
struct Search<'a> {
    graph: &'a Graph,
    device: &'a dyn Device,
    /// Elements of persistent values.
    persistent: usize,
    /// By node.
    copies: Vec<Option<Copy>>,
    workspaces: Vec<usize>,
    /// By value: the node of the forward pass whose copy makes it.
    makers: Vec<Option<usize>>,
    /// By value: elements of a temporary, else 0.
    sizes: Vec<usize>,
    /// By value: the span that it is a member of.
    spans: Vec<Option<Value>>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, device: &'a dyn Device, persistent: usize) -> Search<'a> {
        let copy = |node: &Node| {
            let is_forward = node.phase == Phase::Forward;
            is_forward.then(|| Copy::of(graph, node, device)).flatten()
        };
        let copies: Vec<Option<Copy>> = graph.nodes.iter().map(copy).collect();
        let mut makers = vec![None; graph.values.len()];
        for (at, copy) in copies.iter().enumerate() {
            for v in copy.iter().flat_map(|copy| &copy.outputs) {
                makers[v.index()] = Some(at);
            }
        }
        let size = |info: &crate::graph::ValueInfo| match info.kind {
            Kind::Temp => aligned(info.shape.elements()),
            _ => 0,
        };
        let mut spans = vec![None; graph.values.len()];
        for span in &graph.spans {
            span.members.iter().for_each(|member| spans[member.index()] = Some(span.whole));
        }
        Search {
            graph,
            device,
            persistent,
            workspaces: graph.nodes.iter().map(|n| aligned(device.workspace(&n.kernel))).collect(),
            sizes: graph.values.iter().map(size).collect(),
            copies,
            makers,
            spans,
        }
    }

    /// The rewritten graph whose plan takes at most `budget` bytes.
    fn fitting(&self, budget: usize) -> Option<Graph> {
        let mut bound = budget;
        for _ in 0..LAYOUTS {
            let dropped = self.dropped(bound / 4)?;
            let graph = self.rewritten(&dropped);
            let planned = Plan::new(&graph, self.device).bytes();
            if planned <= budget {
                return Some(graph);
            }
            // The layout has gaps: aim lower by as much.
            bound = bound.checked_sub(planned - budget)?;
        }
        None
    }

    /// The smallest budget that can be met, in bytes; `enough` can.
    fn smallest(&self, enough: usize) -> usize {
        let (mut too_little, mut enough) = (self.persistent * 4 / UNIT, enough.div_ceil(UNIT));
        while enough - too_little > (enough / PRECISION).max(1) {
            let middle = (too_little + enough) / 2;
            match self.fitting(middle * UNIT) {
                Some(_) => enough = middle,
                None => too_little = middle,
            }
        }
        enough * UNIT
    }

    /// The nodes to drop so that never more than `most` elements are alive.
    fn dropped(&self, most: usize) -> Option<Vec<bool>> {
        let most = most.checked_sub(self.persistent)?;
        let mut dropped = vec![false; self.copies.len()];
        // What each node is worth, as far as is known: it seldom rises as others are dropped, so only
        // the best needs to be looked at again.
        let mut worth: Vec<f64> = self.copies.iter().map(|copy| start(copy.is_some())).collect();
        let mut is_known = vec![false; worth.len()];
        let (mut excess, mut work) = self.cost(&dropped, most);
        while excess > 0 {
            let best =
                (0..worth.len()).max_by(|&a, &b| worth[a].total_cmp(&worth[b]).then(b.cmp(&a)))?;
            if !is_known[best] && worth[best] > f64::NEG_INFINITY {
                dropped[best] = true;
                let (less, more) = self.cost(&dropped, most);
                dropped[best] = false;
                worth[best] = (excess as f64 - less as f64) / (more - work).max(1) as f64;
                is_known[best] = true;
            } else if worth[best] > 0.0 {
                dropped[best] = true;
                (excess, work) = self.cost(&dropped, most);
                is_known.fill(false);
                worth[best] = f64::NEG_INFINITY;
            } else {
                // Others may have become worth something: look at them all before giving up.
                let unknown = |&node: &usize| !is_known[node] && worth[node] > f64::NEG_INFINITY;
                let node = (0..worth.len()).find(unknown)?;
                worth[node] = f64::INFINITY;
            }
        }
        self.keep_again(&mut dropped, most);
        Some(dropped)
    }

    /// Keeps what need not be dropped, most work first.
    fn keep_again(&self, dropped: &mut [bool], most: usize) {
        let mut nodes: Vec<usize> = (0..dropped.len()).filter(|&node| dropped[node]).collect();
        let work = |node: usize| self.copies[node].as_ref().map_or(0, |copy| copy.work);
        nodes.sort_by_key(|&node| std::cmp::Reverse(work(node)));
        for node in nodes {
            dropped[node] = false;
            dropped[node] = self.cost(dropped, most).0 > 0;
        }
    }

    /// Element-steps above `most`, and the work of the copies.
    fn cost(&self, dropped: &[bool], most: usize) -> (u64, u64) {
        let ops = self.ops(dropped);
        let excess = |alive: usize| alive.saturating_sub(most) as u64;
        let again = ops.iter().filter(|op| op.again).filter_map(|op| self.copies[op.node].as_ref());
        let work = again.map(|copy| copy.work).sum();
        (self.alive(&ops, dropped).into_iter().map(excess).sum(), work)
    }

    /// The list with copies of dropped nodes before the first gradients that need them.
    fn ops(&self, dropped: &[bool]) -> Vec<Op> {
        let mut ops = Vec::with_capacity(2 * self.graph.nodes.len());
        let mut is_made = vec![false; dropped.len()];
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if node.phase != Phase::Forward {
                node.inputs.iter().for_each(|&v| self.make(v, dropped, &mut is_made, &mut ops));
            }
            ops.push(Op { node: at, again: false });
        }
        ops
    }

    /// Appends the copy that makes `v`, if it was dropped, after those that it needs.
    fn make(&self, v: Value, dropped: &[bool], is_made: &mut [bool], ops: &mut Vec<Op>) {
        let Some(node) = self.maker(v, dropped).filter(|&node| !is_made[node]) else { return };
        is_made[node] = true;
        let copy = self.copies[node].as_ref().expect("makers have copies");
        copy.inputs.iter().for_each(|&input| self.make(input, dropped, is_made, ops));
        ops.push(Op { node, again: true });
    }

    /// The dropped node whose copy makes `v`.
    fn maker(&self, v: Value, dropped: &[bool]) -> Option<usize> {
        self.makers[v.index()].filter(|&node| dropped[node])
    }

    /// Elements of temporaries and scratch memory that are alive during each op: what [`Plan`] will
    /// find. Values made anew are numbered after all others.
    fn alive(&self, ops: &[Op], dropped: &[bool]) -> Vec<usize> {
        let values = self.sizes.len();
        let mut last = vec![0; 2 * values];
        let id = |v: Value, op: &Op| {
            let is_forward = !op.again && self.graph.nodes[op.node].phase == Phase::Forward;
            let is_again = !is_forward && self.maker(v, dropped).is_some();
            v.index() + if is_again { values } else { 0 }
        };
        for (at, op) in ops.iter().enumerate() {
            let (inputs, outputs) = self.values_of(op);
            for &v in inputs.iter().chain(outputs) {
                let is_kept = self.graph.info(v).kept && id(v, op) < values;
                last[id(v, op)] = if is_kept { ops.len() } else { at };
            }
        }
        for (v, span) in self.spans.iter().enumerate() {
            if let Some(span) = span {
                last[v] = last[v].max(last[span.index()]);
            }
        }
        let mut change = vec![0isize; ops.len() + 2];
        let mut is_born = vec![false; 2 * values];
        for (at, op) in ops.iter().enumerate() {
            let (inputs, outputs) = self.values_of(op);
            for (i, &v) in outputs.iter().enumerate() {
                let (value, size) = (id(v, op), self.sizes[v.index()] as isize);
                if size == 0 || std::mem::replace(&mut is_born[value], true) {
                    continue;
                }
                let source = self.graph.nodes[op.node].kernel.in_place().filter(|_| i == 0);
                let in_place = source.is_some_and(|input| {
                    let x = inputs[input];
                    let is_unique = inputs.iter().filter(|&&other| other == x).count() == 1;
                    let same_len = self.graph.shape(x).elements() == self.graph.shape(v).elements();
                    let is_free = self.sizes[x.index()] > 0 && self.spans[x.index()].is_none();
                    is_unique && same_len && is_free && last[id(x, op)] == at
                });
                // In place: its memory is counted for the source until this op is over.
                change[at + usize::from(in_place)] += size;
                change[last[value] + 1] -= size;
            }
            let workspace = match &self.copies[op.node] {
                Some(copy) if op.again => copy.workspace,
                _ => self.workspaces[op.node],
            };
            change[at] += workspace as isize;
            change[at + 1] -= workspace as isize;
        }
        let mut alive = 0;
        let sum = |change: &isize| {
            alive += change;
            alive as usize
        };
        change[..ops.len()].iter().map(sum).collect()
    }

    fn values_of(&self, op: &Op) -> (&[Value], &[Value]) {
        match &self.copies[op.node] {
            Some(copy) if op.again => (&copy.inputs, &copy.outputs),
            _ => {
                let node = &self.graph.nodes[op.node];
                (&node.inputs, &node.outputs)
            }
        }
    }

    /// The graph with the list of [`Search::ops`].
    fn rewritten(&self, dropped: &[bool]) -> Graph {
        let mut graph = self.graph.clone();
        let mut again: Vec<Option<Value>> = vec![None; self.sizes.len()];
        let mut nodes = Vec::new();
        for op in self.ops(dropped) {
            let mut node = self.graph.nodes[op.node].clone();
            let copy = self.copies[op.node].as_ref().filter(|_| op.again);
            if let Some(copy) = copy {
                let (inputs, outputs) = (copy.inputs.clone(), copy.outputs.clone());
                let (kernel, phase) = (copy.kernel, Phase::Backward);
                node = Node { kernel, inputs, outputs, phase, again: true, ..node };
            }
            if node.phase != Phase::Forward {
                for v in &mut node.inputs {
                    *v = again[v.index()].unwrap_or(*v);
                }
            }
            if copy.is_some() {
                for v in &mut node.outputs {
                    let info = self.graph.info(*v);
                    let new = graph.temp(info.shape, info.dtype);
                    again[v.index()] = Some(new);
                    *v = new;
                }
            }
            nodes.push(node);
        }
        graph.nodes = nodes;
        graph
    }
}

/// What a node is worth before it is known: all, or nothing if it has no copy.
fn start(has_copy: bool) -> f64 {
    if has_copy { f64::INFINITY } else { f64::NEG_INFINITY }
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}
