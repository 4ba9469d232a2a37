//! Where every value is stored: the arena's layout, known before step 1.
//!
//! Persistent values (inputs, parameters, state) come first, in creation order, except that the
//! members of a span follow its first. Each `Temp` lives from the kernel that writes it to the last
//! one that reads it or its span; a kernel's scratch memory lives only during that kernel. They share
//! the rest of the arena: members of spans have fixed places; of the others, largest first, each goes
//! into the smallest gap that is free during its whole life (greedy by size, best fit).
//!
//! Inputs that arrive while the step before runs ([`Graph::arrives`]) have a second place, behind the
//! other persistent values, on devices that copy beside their kernels.
//!
//! Of a batch in shards, inputs of single shards stand behind the other persistent values. From there
//! on the layout is the first shard's; that of each further shard follows, equal, and what the shards
//! share is in the first one's.

use tensor::arena::ALIGN;
use tensor::{Device, Kernel, Slot};

use crate::buckets::summed;
use crate::graph::{Graph, Kind, Node, Span, Value};
use crate::shards::PerShard;
use crate::sum_ranks::scratch;

/// A layout of a graph's values, in elements of 4 bytes.
pub struct Plan {
    /// One slot per value, indexed as the graph's values.
    pub slots: Vec<Slot>,
    /// One slot per node for its scratch memory.
    pub workspaces: Vec<Slot>,
    /// Inputs that arrive, and where.
    pub arrivals: Vec<(Value, Slot)>,
    /// Elements of inputs, parameters and state.
    pub persistent: usize,
    /// Elements of the whole arena.
    pub total: usize,
    /// Elements from a shard's values to the next shard's.
    pub shard: usize,
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
    /// the executor follows the phases. If spans contradict each other, or a value is read or kept
    /// that no node makes.
    pub fn new(graph: &Graph, device: &dyn Device) -> Plan {
        let nodes = &graph.nodes;
        assert!(nodes.is_sorted_by_key(|node| node.phase), "nodes are not in the order of phases");
        let mut slots = vec![Slot::default(); graph.values.len()];
        let [shared, mut persistent] = place_persistent(graph, &mut slots);
        let mut arrivals = Vec::new();
        if device.copies_beside() {
            for &value in &graph.arriving {
                let slot = Slot::new(persistent, slots[value.index()].len);
                persistent += aligned(slot.len);
                arrivals.push((value, slot));
            }
        }
        let words = words(graph, device);
        let mut temps = Temps::new(graph);
        let per_shard = PerShard::of(graph);
        let mut workspace_block = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            for (i, v) in node.outputs.iter().map(|v| v.index()).enumerate() {
                if graph.values[v].kind == Kind::Temp {
                    let source = in_place(node).filter(|_| i == 0);
                    let source = source.map(|place| node.inputs[place]);
                    // What the shards share, others still read.
                    let output = node.outputs[i];
                    let source = source.filter(|&x| per_shard.has(x) == per_shard.has(output));
                    temps.make(words[v], at, v, source.map(|x| x.index()));
                }
            }
            // Of other ranks' shards, devices receive the sums.
            let received = summed(node).filter(|_| graph.shards.local < graph.shards.all);
            let len = device.workspace(&node.kernel).max(received.map_or(0, scratch));
            workspace_block.push((len > 0).then(|| temps.block(len, at, at, true)));
        }
        let made =
            |v: &Value| graph.info(*v).kind != Kind::Temp || temps.block_of[v.index()].is_some();
        let orphan = |node: &Node| !node.inputs.iter().all(made);
        assert!(!nodes.iter().any(orphan), "a node reads what no node makes");
        let kept = graph.values().find(|(v, info)| info.kept && !made(v));
        assert!(kept.is_none(), "{kept:?} is kept and no node makes it: keep it before fusing");
        let end = temps.place(persistent);
        let local = graph.shards.local;
        let shard = if graph.shards.all > 1 { aligned(end - shared) } else { 0 };
        let total = end + (local - 1) * shard;
        for (v, info) in graph.values.iter().enumerate() {
            (slots[v].len, slots[v].dtype) = (words[v], info.dtype);
            if let Some(block) = temps.block_of[v] {
                slots[v].offset = temps.blocks[block].slot.offset;
            } else if let Some(pin) = temps.pin_of[v] {
                slots[v].offset = persistent + pin;
            }
        }
        let workspace = |b: &Option<usize>| b.map_or(Slot::default(), |b| temps.blocks[b].slot);
        let workspaces = workspace_block.iter().map(workspace).collect();
        let alive = persistent - shared + most_alive(&temps.blocks, nodes.len());
        let lower_bound = shared + local * alive;
        let blocks = temps.blocks;
        Plan { slots, workspaces, arrivals, persistent, total, shard, lower_bound, blocks }
    }

    /// Where a shard of this process has a value of which each has its own.
    pub fn slot(&self, value: Value, shard: usize) -> Slot {
        self.of_shard(self.slots[value.index()], shard)
    }

    /// Where a shard of this process has what the first one has in `slot`.
    pub(crate) fn of_shard(&self, slot: Slot, shard: usize) -> Slot {
        Slot { offset: slot.offset + shard * self.shard, ..slot }
    }

    /// Bytes of the places where inputs arrive.
    pub fn arrival_bytes(&self) -> usize {
        4 * self.arrivals.iter().map(|(_, slot)| slot.len).sum::<usize>()
    }

    /// Bytes of the whole arena.
    pub fn bytes(&self) -> usize {
        4 * self.total
    }
}

/// The place among a node's inputs of the one whose memory its first output may take, if that dies
/// there.
pub(crate) fn in_place(node: &Node) -> Option<usize> {
    let place = node.kernel.in_place()?;
    let is_unique = node.inputs.iter().filter(|&&v| v == node.inputs[place]).count() == 1;
    is_unique.then_some(place)
}

/// Elements of the arena that each value takes on `device`, which may have its own groups of batch norm's
/// sums.
pub(crate) fn words(graph: &Graph, device: &dyn Device) -> Vec<usize> {
    let mut words: Vec<usize> = graph.values.iter().map(|info| info.words()).collect();
    for node in &graph.nodes {
        let sums = match node.kernel {
            Kernel::Conv2dSums(conv) => device.sums(conv),
            Kernel::Conv2dGradInputSums { conv, .. } => device.gradient_sums(conv),
            _ => continue,
        };
        words[node.outputs[1].index()] = sums.elements();
    }
    words
}

/// The room that a value takes.
pub(crate) fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

fn is_temp(graph: &Graph, span: &Span) -> bool {
    graph.info(span.members[0]).kind == Kind::Temp
}

/// Gives every persistent value its slot; returns the end of those that the shards share, and of all.
fn place_persistent(graph: &Graph, slots: &mut [Slot]) -> [usize; 2] {
    let mut end = 0;
    let mut placed = vec![false; slots.len()];
    for (v, info) in graph.values.iter().enumerate() {
        if matches!(info.kind, Kind::Temp | Kind::Span)
            || graph.sharded.iter().any(|x| x.index() == v)
        {
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
                slots[v] = Slot::new(end, graph.values[v].words());
                end += aligned(slots[v].len);
            }
        }
    }
    for span in graph.spans.iter().filter(|span| !is_temp(graph, span)) {
        let first = slots[span.members[0].index()].offset;
        let ranges = graph.ranges(&span.members);
        for (member, (start, _)) in span.members.iter().zip(&ranges) {
            assert_eq!(slots[member.index()].offset, first + start, "spans contradict each other");
        }
        slots[span.whole.index()] = Slot::new(first, graph.shape(span.whole).elements());
    }
    let shared = end;
    for v in &graph.sharded {
        slots[v.index()] = Slot::new(end, graph.shape(*v).elements());
        end += aligned(slots[v.index()].len);
    }
    [shared, end]
}

/// The memory blocks of temporaries, under construction.
struct Temps {
    blocks: Vec<Block>,
    /// The block that a value is in.
    block_of: Vec<Option<usize>>,
    /// Index of the node that reads a value last.
    last_use: Vec<usize>,
    /// The fixed offset of a span and of its members, from the start of all temporaries.
    pin_of: Vec<Option<usize>>,
    /// The fixed offsets of blocks that hold such members.
    pins: Vec<Option<usize>>,
}

impl Temps {
    /// Starts without blocks, with the spans' offsets fixed one after the other.
    fn new(graph: &Graph) -> Temps {
        let nodes = graph.nodes.len();
        let mut last_use = vec![0; graph.values.len()];
        for (at, node) in graph.nodes.iter().enumerate() {
            for v in node.inputs.iter().chain(&node.outputs) {
                last_use[v.index()] = if graph.info(*v).kept { nodes } else { at };
            }
        }
        let mut pin_of = vec![None; graph.values.len()];
        let mut end = 0;
        for span in graph.spans.iter().filter(|span| is_temp(graph, span)) {
            let whole = span.whole.index();
            pin_of[whole] = Some(end);
            for (member, (start, _)) in span.members.iter().zip(graph.ranges(&span.members)) {
                let member = member.index();
                assert!(pin_of[member].is_none(), "a temporary in two spans");
                pin_of[member] = Some(end + start);
                last_use[member] = last_use[member].max(last_use[whole]);
            }
            end += aligned(graph.shape(span.whole).elements());
        }
        let block_of = vec![None; graph.values.len()];
        Temps { blocks: Vec::new(), block_of, last_use, pin_of, pins: Vec::new() }
    }

    fn block(&mut self, len: usize, at: usize, last: usize, is_workspace: bool) -> usize {
        self.blocks.push(Block { slot: Slot::new(0, len), first: at, last, is_workspace });
        self.pins.push(None);
        self.blocks.len() - 1
    }

    /// Places value `v` of `len` elements, written by node `at`, in the memory of `source` if that dies
    /// here.
    fn make(&mut self, len: usize, at: usize, v: usize, source: Option<usize>) {
        // Updated in place.
        if self.block_of[v].is_some() {
            return;
        }
        let reused = source.and_then(|x| {
            let block = self.block_of[x]?;
            let dies = self.last_use[x] == at && self.pins[block].is_none();
            (dies && self.blocks[block].slot.len == len).then_some(block)
        });
        let last = self.last_use[v];
        let block = reused.unwrap_or_else(|| self.block(len, at, last, false));
        self.blocks[block].last = last;
        self.block_of[v] = Some(block);
        // A member's source takes the member's place from its own start.
        self.pins[block] = self.pin_of[v];
    }

    /// Assigns every block an offset from `start` on; returns the end of the last one.
    fn place(&mut self, start: usize) -> usize {
        for (block, pin) in self.blocks.iter_mut().zip(&self.pins) {
            block.slot.offset = pin.map_or(0, |pin| start + pin);
        }
        let is_pinned: Vec<bool> = self.pins.iter().map(Option::is_some).collect();
        place(&mut self.blocks, &is_pinned, start)
    }
}

/// Assigns an offset to every block without a fixed one; returns the end of the last block.
fn place(blocks: &mut [Block], is_pinned: &[bool], start: usize) -> usize {
    let (mut placed, mut order): (Vec<usize>, Vec<usize>) =
        (0..blocks.len()).partition(|&b| is_pinned[b]);
    placed.sort_by_key(|&b| blocks[b].slot.offset);
    order.sort_by_key(|&b| (std::cmp::Reverse(blocks[b].slot.len), b));
    let ends = placed.iter().map(|&b| blocks[b].slot.offset + aligned(blocks[b].slot.len));
    let mut end = ends.max().unwrap_or(start);
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
