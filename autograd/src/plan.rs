//! Where every value lies: the arena's layout, known before step 1.
//!
//! Persistent values (inputs, parameters, state) come first, in the order of their making. Each
//! `Temp` lives from the op that makes it to the last one that reads it; an op's scratch memory
//! lives during that op alone. They share the rest of the arena: largest first, each goes into the
//! smallest gap that is free during its whole life (greedy by size, best fit).

use tensor::arena::ALIGN;
use tensor::{Backend, Slot};

use crate::graph::{Graph, Io, Kind};

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
    /// The most that is alive at once: no layout can do with less than this.
    pub lower_bound: usize,
    /// The parts of the arena behind `persistent`, for the memory map.
    pub blocks: Vec<Block>,
}

/// A part of the arena while it is in use.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Where.
    pub slot: Slot,
    /// Index of the node that writes it first.
    pub first: usize,
    /// Index of the node that reads it last.
    pub last: usize,
    /// Scratch memory of one node, not a value.
    pub is_workspace: bool,
}

impl Plan {
    /// Lays out `graph` for the kernels of `backend`.
    ///
    /// # Panics
    /// If an op of an earlier phase stands behind one of a later phase: lifetimes follow the list,
    /// and the executor follows the phases.
    pub fn new(graph: &Graph, backend: &dyn Backend) -> Plan {
        let (values, nodes) = (&graph.values, &graph.nodes);
        assert!(nodes.is_sorted_by_key(|node| node.phase), "ops are not in the order of phases");
        let mut slots = vec![Slot::default(); values.len()];
        let mut persistent = 0;
        for (slot, info) in slots.iter_mut().zip(values) {
            if info.kind != Kind::Temp {
                *slot = Slot { offset: persistent, len: info.shape.elements() };
                persistent += aligned(slot.len);
            }
        }

        let mut last_use = vec![0; values.len()];
        for (at, node) in nodes.iter().enumerate() {
            for v in node.inputs.iter().chain(&node.outputs) {
                last_use[v.index()] = if values[v.index()].kept { nodes.len() } else { at };
            }
        }

        // A block of memory per value, or one for several values where an op works in place.
        let mut blocks: Vec<Block> = Vec::new();
        let mut block_of: Vec<Option<usize>> = vec![None; values.len()];
        let mut workspace_block: Vec<Option<usize>> = vec![None; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            for (i, v) in node.outputs.iter().map(|v| v.index()).enumerate() {
                if values[v].kind != Kind::Temp {
                    continue;
                }
                let len = values[v].shape.elements();
                let reused = node.op.in_place().filter(|_| i == 0).and_then(|input| {
                    let x = node.inputs[input].index();
                    let uses = node.inputs.iter().filter(|v| v.index() == x).count();
                    block_of[x]
                        .filter(|&b| last_use[x] == at && uses == 1 && blocks[b].slot.len == len)
                });
                let last = last_use[v];
                block_of[v] = Some(match reused {
                    Some(block) => {
                        blocks[block].last = last;
                        block
                    }
                    None => {
                        let slot = Slot { offset: 0, len };
                        blocks.push(Block { slot, first: at, last, is_workspace: false });
                        blocks.len() - 1
                    }
                });
            }
            let len = node.op.workspace(backend);
            if len > 0 {
                let slot = Slot { offset: 0, len };
                workspace_block[at] = Some(blocks.len());
                blocks.push(Block { slot, first: at, last: at, is_workspace: true });
            }
        }

        let total = place(&mut blocks, persistent);
        for (slot, block) in slots.iter_mut().zip(&block_of) {
            if let Some(block) = *block {
                *slot = blocks[block].slot;
            }
        }
        let workspaces =
            workspace_block.iter().map(|b| b.map_or(Slot::default(), |b| blocks[b].slot)).collect();
        let lower_bound = persistent + most_alive(&blocks, nodes.len());
        Plan { slots, workspaces, persistent, total, lower_bound, blocks }
    }

    /// The slots of every node, in order.
    pub(crate) fn io(&self, graph: &Graph) -> Vec<Io> {
        let slot = |v: &crate::graph::Value| self.slots[v.index()];
        graph
            .nodes
            .iter()
            .zip(&self.workspaces)
            .map(|(node, &workspace)| Io {
                inputs: node.inputs.iter().map(slot).collect(),
                outputs: node.outputs.iter().map(slot).collect(),
                workspace,
            })
            .collect()
    }

    /// Bytes of the whole arena.
    pub fn bytes(&self) -> usize {
        4 * self.total
    }
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// Gives every block its offset at or behind `start`; returns the end of the last one.
fn place(blocks: &mut [Block], start: usize) -> usize {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&b| (std::cmp::Reverse(blocks[b].slot.len), b));
    let mut placed: Vec<usize> = Vec::with_capacity(blocks.len());
    let mut end = start;
    for b in order {
        let (len, first, last) = (aligned(blocks[b].slot.len), blocks[b].first, blocks[b].last);
        // `placed` is in order of offsets, so one sweep sees every gap beside the living blocks.
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
