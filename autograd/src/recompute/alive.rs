//! How much is alive during each op, without laying anything out.

use tensor::Device;

use super::list::{Copies, List, Op};
use crate::graph::{Graph, Kind, Node, ValueInfo};
use crate::plan::{self, aligned};

/// Sizes of a graph's temporaries, in elements.
pub struct Alive<'a> {
    graph: &'a Graph,
    /// By node: scratch memory of itself and of its copy.
    workspaces: Vec<[usize; 2]>,
    /// By value; 0 if it is persistent.
    sizes: Vec<usize>,
    /// By value: the span that it is a member of.
    spans: Vec<Option<usize>>,
    /// By node: see [`in_place`].
    in_place: Vec<Option<usize>>,
}

impl<'a> Alive<'a> {
    pub fn new(copies: &Copies<'a>, device: &dyn Device) -> Alive<'a> {
        let graph = copies.graph;
        let workspaces = graph.nodes.iter().zip(&copies.of_node).map(|(node, copy)| {
            let copy = copy.as_ref().map_or(0, |copy| device.workspace(&copy.node.kernel));
            [aligned(device.workspace(&node.kernel)), aligned(copy)]
        });
        let size = |(info, &words): (&ValueInfo, &usize)| match info.kind {
            Kind::Temp => aligned(words),
            _ => 0,
        };
        let mut spans = vec![None; graph.values.len()];
        for span in &graph.spans {
            span.members.iter().for_each(|v| spans[v.index()] = Some(span.whole.index()));
        }
        let sizes = graph.values.iter().zip(&plan::words(graph, device)).map(size).collect();
        let in_place = graph.nodes.iter().map(|node| in_place(graph, node)).collect();
        Alive { graph, workspaces: workspaces.collect(), sizes, spans, in_place }
    }

    /// What the most demanding op of a list needs, whatever else is dropped.
    pub fn floor(&self, list: &List) -> usize {
        let needs = |op: &Op| {
            let in_place = self.in_place(list, op);
            let mut values = [list.inputs(op), list.outputs(op)].concat();
            values.sort_unstable();
            values.dedup();
            values.retain(|&v| Some(v) != in_place);
            let values: usize = values.iter().map(|&v| self.sizes[list.origins[v]]).sum();
            values + self.workspaces[op.node][usize::from(op.again)]
        };
        list.ops.iter().map(needs).max().unwrap_or(0)
    }

    /// Elements of temporaries and scratch memory that are alive during each op: as in [`Plan`].
    pub fn during(&self, list: &List) -> Vec<usize> {
        let values = self.sizes.len();
        let mut last = vec![0; list.origins.len()];
        for (at, op) in list.ops.iter().enumerate() {
            for &v in list.inputs(op).iter().chain(list.outputs(op)) {
                let is_kept = v < values && self.graph.values[v].kept;
                last[v] = if is_kept { list.ops.len() } else { at };
            }
        }
        for (v, span) in self.spans.iter().enumerate() {
            if let Some(span) = span {
                last[v] = last[v].max(last[*span]);
            }
        }
        let mut change = vec![0isize; list.ops.len() + 2];
        let mut is_born = vec![false; last.len()];
        for (at, op) in list.ops.iter().enumerate() {
            for (i, &v) in list.outputs(op).iter().enumerate() {
                let size = self.sizes[list.origins[v]] as isize;
                if size > 0 && !std::mem::replace(&mut is_born[v], true) {
                    let source = self.in_place(list, op).filter(|&x| i == 0 && last[x] == at);
                    // In place: its memory counts as the source's until this op is over.
                    change[at + usize::from(source.is_some())] += size;
                    change[last[v] + 1] -= size;
                }
            }
            let workspace = self.workspaces[op.node][usize::from(op.again)];
            change[at] += workspace as isize;
            change[at + 1] -= workspace as isize;
        }
        let mut alive = 0;
        let sum = |change: &isize| {
            alive += change;
            alive as usize
        };
        change[..list.ops.len()].iter().map(sum).collect()
    }

    /// The input whose memory an op's first output takes if it dies there.
    fn in_place(&self, list: &List, op: &Op) -> Option<usize> {
        let x = list.inputs(op)[self.in_place[op.node]?];
        let is_pinned = x < self.spans.len() && self.spans[x].is_some();
        (!is_pinned).then_some(x)
    }
}

/// The place among a node's inputs of the one whose memory its first output may take.
fn in_place(graph: &Graph, node: &Node) -> Option<usize> {
    let place = plan::in_place(node)?;
    let (x, y) = (node.inputs[place], node.outputs[0]);
    let fits = graph.info(x).words() == graph.info(y).words();
    (fits && graph.info(x).kind == Kind::Temp).then_some(place)
}
