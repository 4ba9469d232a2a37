//! Where every value is stored: the arena's layout, known before step 1.
//!
//! Persistent values (inputs, parameters, state) come first, in creation order, except that the
//! members of a span follow its first. Each `Temp` lives from the kernel that writes it to the last
//! one that reads it, the members of a span from the first write to the last read; a kernel's
//! scratch memory lives only during that kernel. They share the rest of the arena: largest first,
//! each goes into the smallest gap that is free during its whole life (greedy by size, best fit).

use tensor::arena::ALIGN;
use tensor::{Device, Slot};

use crate::graph::{Graph, Kind};

/// A layout of a graph's values, in elements of 4 bytes.
pub struct Plan {
    /// One slot per value, indexed as the graph's values.
    pub slots: Vec<Slot>,
    /// One slot per node for its scratch memory.
    pub workspaces: Vec<Slot>,
    /// Elements of inputs, parameters and state.
    pub persistent: usize,
    /// Elements of the whole arena.
    pub total: usize,
    /// Most elements alive at a time: a lower bound for any layout.
    pub lower_bound: usize,
    /// The parts of the arena after `persistent`, for the memory map.
    pub blocks: Vec<Block>,
}

/// A part of the arena while it is in use.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Where.
    pub slot: Slot,
    /// Index of the first node that writes it.
    pub first: usize,
    /// Index of the last node that reads it.
    pub last: usize,
    /// Scratch memory of one node, not a value.
    pub is_workspace: bool,
}

impl Plan {
    /// Lays out `graph` for the kernels of `device`.
    ///
    /// # Panics
    /// If a node of an earlier phase follows one of a later phase: lifetimes follow the list, and
    /// the executor follows the phases. If spans contradict each other.
    pub fn new(graph: &Graph, device: &dyn Device) -> Plan {
        let nodes = &graph.nodes;
        assert!(nodes.is_sorted_by_key(|node| node.phase), "nodes are not in the order of phases");
        let mut slots = vec![Slot::default(); graph.values.len()];
        let persistent = place_persistent(graph, &mut slots);
        let mut temps = Temps::new(graph);
        let mut workspace_block = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            for (i, v) in node.outputs.iter().map(|v| v.index()).enumerate() {
                if graph.values[v].kind == Kind::Temp {
                    let source = node.kernel.in_place().filter(|_| i == 0);
                    let unique = |&input: &usize| {
                        let same = |v: &&_| **v == node.inputs[input];
                        node.inputs.iter().filter(same).count() == 1
                    };
                    let source = source.filter(unique).map(|input| node.inputs[input].index());
                    temps.make(graph, at, v, source);
                }
            }
            let len = device.workspace(&node.kernel);
            workspace_block.push((len > 0).then(|| temps.block(len, at, at, true)));
        }
        let total = place(&mut temps.blocks, persistent);
        for (slot, place) in slots.iter_mut().zip(&temps.places) {
            if let Some((block, offset)) = *place {
                slot.offset = temps.blocks[block].slot.offset + offset;
            }
        }
        for (slot, info) in slots.iter_mut().zip(&graph.values) {
            slot.len = info.shape.elements();
        }
        let workspace = |b: &Option<usize>| b.map_or(Slot::default(), |b| temps.blocks[b].slot);
        let workspaces = workspace_block.iter().map(workspace).collect();
        let lower_bound = persistent + most_alive(&temps.blocks, nodes.len());
        temps.blocks.retain(|block| block.slot.len > 0);
        Plan { slots, workspaces, persistent, total, lower_bound, blocks: temps.blocks }
    }

    /// Bytes of the whole arena.
    pub fn bytes(&self) -> usize {
        4 * self.total
    }
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// Gives every persistent value its slot; returns their end.
fn place_persistent(graph: &Graph, slots: &mut [Slot]) -> usize {
    let mut end = 0;
    let mut placed = vec![false; slots.len()];
    let is_whole = |v: usize| graph.spans.iter().any(|span| span.whole.index() == v);
    for (v, info) in graph.values.iter().enumerate() {
        if info.kind == Kind::Temp || is_whole(v) {
            continue;
        }
        // A tensor can be in two spans, such as all weights and all matrices: the longer one
        // decides.
        let spans = graph.spans.iter().filter(|span| span.members.iter().any(|m| m.index() == v));
        let members = match spans.max_by_key(|span| span.members.len()) {
            Some(span) => span.members.iter().map(|m| m.index()).collect(),
            None => vec![v],
        };
        for v in members {
            if !std::mem::replace(&mut placed[v], true) {
                slots[v] = Slot { offset: end, len: graph.values[v].shape.elements() };
                end += aligned(slots[v].len);
            }
        }
    }
    for span in graph.spans.iter().filter(|span| graph.info(span.whole).kind != Kind::Temp) {
        let first = slots[span.members[0].index()].offset;
        let ranges = graph.ranges(&span.members);
        for (member, (start, _)) in span.members.iter().zip(&ranges) {
            assert_eq!(slots[member.index()].offset, first + start, "spans contradict each other");
        }
        slots[span.whole.index()] = Slot { offset: first, len: graph.shape(span.whole).elements() };
    }
    end
}

/// The memory blocks of temporaries, under construction.
struct Temps {
    blocks: Vec<Block>,
    /// The block of a value, and its offset there.
    places: Vec<Option<(usize, usize)>>,
    /// Index of the last node that reads a value.
    last_use: Vec<usize>,
}

impl Temps {
    /// Starts with a block for each span.
    fn new(graph: &Graph) -> Temps {
        let nodes = graph.nodes.len();
        let mut last_use = vec![0; graph.values.len()];
        for (at, node) in graph.nodes.iter().enumerate() {
            for v in node.inputs.iter().chain(&node.outputs) {
                last_use[v.index()] = if graph.info(*v).kept { nodes } else { at };
            }
        }
        let places = vec![None; graph.values.len()];
        let mut temps = Temps { blocks: Vec::new(), places, last_use };
        for span in graph.spans.iter().filter(|span| graph.info(span.whole).kind == Kind::Temp) {
            let len = graph.shape(span.whole).elements();
            let members = span.members.iter().chain([&span.whole]);
            let last = members.map(|v| temps.last_use[v.index()]).max().unwrap_or(0);
            let block = temps.block(len, last, last, false);
            temps.places[span.whole.index()] = Some((block, 0));
            for (member, (start, _)) in span.members.iter().zip(graph.ranges(&span.members)) {
                assert!(temps.places[member.index()].is_none(), "a temporary in two spans");
                temps.places[member.index()] = Some((block, start));
            }
        }
        temps
    }

    fn block(&mut self, len: usize, first: usize, last: usize, is_workspace: bool) -> usize {
        self.blocks.push(Block { slot: Slot { offset: 0, len }, first, last, is_workspace });
        self.blocks.len() - 1
    }

    /// Places value `v`, written by node `at`, in the memory of `source` if possible.
    fn make(&mut self, graph: &Graph, at: usize, v: usize, source: Option<usize>) {
        let len = graph.values[v].shape.elements();
        // The source has its own block and dies here.
        let source = source.and_then(|x| {
            let (block, _) = self.places[x]?;
            let dies = self.last_use[x] == at && self.blocks[block].last == at;
            (dies && self.blocks[block].slot.len == len).then_some(block)
        });
        match (self.places[v], source) {
            (None, Some(block)) => {
                self.blocks[block].last = self.last_use[v];
                self.places[v] = Some((block, 0));
            }
            (None, None) => {
                let block = self.block(len, at, self.last_use[v], false);
                self.places[v] = Some((block, 0));
            }
            // A member of a span: its source moves in with it.
            (Some((whole, offset)), source) => {
                let first = source.map_or(at, |block| self.blocks[block].first);
                self.blocks[whole].first = self.blocks[whole].first.min(first);
                if let Some(source) = source {
                    for place in self.places.iter_mut().flatten() {
                        if place.0 == source {
                            *place = (whole, offset);
                        }
                    }
                    self.blocks[source].slot.len = 0;
                }
            }
        }
    }
}

/// Assigns every block an offset from `start` on; returns the end of the last one.
fn place(blocks: &mut [Block], start: usize) -> usize {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&b| (std::cmp::Reverse(blocks[b].slot.len), b));
    let mut placed: Vec<usize> = Vec::with_capacity(blocks.len());
    let mut end = start;
    for b in order {
        let (len, first, last) = (aligned(blocks[b].slot.len), blocks[b].first, blocks[b].last);
        // `placed` is sorted by offset, so one sweep sees every gap between live blocks.
        let mut best: Option<(usize, usize)> = None;
        let mut free_from = start;
        for other in placed.iter().map(|&p| blocks[p]) {
            if other.first > last || other.last < first {
                continue;
            }
            if other.slot.offset >= free_from + len {
                let gap = other.slot.offset - free_from;
                if best.is_none_or(|(size, _)| gap < size) {
                    best = Some((gap, free_from));
                }
            }
            free_from = free_from.max(other.slot.offset + aligned(other.slot.len));
        }
        let offset = best.map_or(free_from, |(_, offset)| offset);
        blocks[b].slot.offset = offset;
        end = end.max(offset + len);
        let at = placed.partition_point(|&p| blocks[p].slot.offset < offset);
        placed.insert(at, b);
    }
    end
}

fn most_alive(blocks: &[Block], nodes: usize) -> usize {
    let mut change = vec![0isize; nodes + 2];
    for block in blocks {
        change[block.first] += aligned(block.slot.len) as isize;
        change[block.last + 1] -= aligned(block.slot.len) as isize;
    }
    let mut alive = 0;
    change.iter().fold(0, |most, &d| {
        alive += d;
        most.max(alive)
    }) as usize
}
