//! The control flow graph: in which order lanes that parted run, so that they meet again.
//!
//! Lanes whose next instruction comes first in the order run; the others wait where they are until
//! those reach them. So the order must put all that lies between a jump and a place behind it
//! before that place, and a loop before what follows it. That is a weak topological order
//! (Bourdoncle: Efficient Chaotic Iteration Strategies with Widenings, 1993): the strongly connected
//! components of the graph one after the other, and within each the loop's head, then the rest of
//! the loop, ordered in the same way. Ends and traps on the way change nothing: lanes that get there
//! are gone, and the rest meet as if those had never been.

use super::loops::{Loops, Step};
use super::ops::{Kernel, NONE, Op, Order};

/// Straight runs of instructions.
pub struct Graph {
    /// First instruction of each block; one more entry, the end of the code.
    pub starts: Vec<u32>,
    /// Blocks that can follow each block; none: the thread ends.
    pub next: Vec<Vec<u32>>,
}

/// Does the instruction end a thread whose guard is on?
fn ends(op: Op) -> bool {
    matches!(op, Op::Exit | Op::Trap)
}

fn jumps(op: Op) -> bool {
    matches!(op, Op::Branch | Op::BranchIndex)
}

/// Does the instruction act on several lanes or warps?
pub fn is_collective(op: Op) -> bool {
    matches!(
        op,
        Op::Shuffle(_)
            | Op::Vote(_)
            | Op::MatchAny(_)
            | Op::MatchAll(_)
            | Op::Redux(..)
            | Op::ReduxFloat { .. }
            | Op::Elect
            | Op::Barrier { .. }
            | Op::BarrierReduce { .. }
            | Op::WarpBarrier
            | Op::MoveMatrix
            | Op::Mma(_)
            | Op::LoadMatrix { .. }
            | Op::StoreMatrix { .. }
    )
}

impl Graph {
    /// Cuts the code into blocks.
    pub fn new(kernel: &Kernel) -> Graph {
        let code = &kernel.code;
        let mut leader = vec![false; code.len() + 1];
        leader[0] = true;
        leader[code.len()] = true;
        for (pc, instruction) in code.iter().enumerate() {
            match instruction.op {
                Op::Branch => leader[instruction.imm as usize] = true,
                Op::BranchIndex => {
                    for &goal in &kernel.tables[instruction.imm as usize] {
                        leader[goal as usize] = true;
                    }
                }
                _ => {}
            }
            if jumps(instruction.op) || ends(instruction.op) {
                leader[pc + 1] = true;
            }
        }
        let starts: Vec<u32> = (0..=code.len() as u32).filter(|&pc| leader[pc as usize]).collect();
        let block_of = |pc: u32| starts.partition_point(|&start| start <= pc) as u32 - 1;
        let mut next = Vec::new();
        for pair in starts.windows(2) {
            let (last, end) = (code[pair[1] as usize - 1], pair[1]);
            let mut goals = match last.op {
                Op::Branch => vec![block_of(last.imm as u32)],
                Op::BranchIndex => {
                    let goals = kernel.tables[last.imm as usize].iter();
                    goals.map(|&goal| block_of(goal)).collect()
                }
                _ => Vec::new(),
            };
            let stops = jumps(last.op) || ends(last.op);
            if (!stops || last.guard != NONE) && (end as usize) < code.len() {
                goals.push(block_of(end));
            }
            goals.sort_unstable();
            goals.dedup();
            next.push(goals);
        }
        Graph { starts, next }
    }

    fn previous(&self) -> Vec<Vec<u32>> {
        let mut previous = vec![Vec::new(); self.next.len()];
        for (block, goals) in self.next.iter().enumerate() {
            for &goal in goals {
                previous[goal as usize].push(block as u32);
            }
        }
        previous
    }

    /// The kernel's order, see [`Order`]. An error if finding it takes too long.
    fn order(&self, kernel: &Kernel, previous: &[Vec<u32>]) -> Result<Order, String> {
        let steps = Loops::new(&self.next, previous).steps()?;
        let first = |block: u32| self.starts[block as usize];
        let length = |block: u32| self.starts[block as usize + 1] - first(block);
        let mut order = Order { at: vec![0; kernel.code.len()], again: vec![0; kernel.code.len()] };
        // Lanes that only end or give up hold nobody up: they do so first.
        let at_end = self.only_ends(kernel, previous);
        let (ends, others): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| at_end[step.block() as usize]);
        let mut number = 1;
        for step in ends.into_iter().chain(others) {
            match step {
                Step::Run(block) => {
                    for pc in first(block)..first(block) + length(block) {
                        order.at[pc as usize] = number;
                        number += 1;
                    }
                }
                Step::Again(block) => {
                    order.again[first(block) as usize] = number;
                    number += 1;
                }
            }
        }
        Ok(order)
    }

    /// The blocks that are nothing but an end, and those from which no end can be reached, only
    /// traps.
    fn only_ends(&self, kernel: &Kernel, previous: &[Vec<u32>]) -> Vec<bool> {
        let exits = |pc: u32| matches!(kernel.code[pc as usize].op, Op::Exit);
        let mut reaches = vec![false; self.next.len()];
        let code = self.starts.windows(2).enumerate();
        let mut work: Vec<u32> = code
            .filter(|(_, pair)| (pair[0]..pair[1]).any(exits))
            .map(|(block, _)| block as u32)
            .collect();
        while let Some(block) = work.pop() {
            if !std::mem::replace(&mut reaches[block as usize], true) {
                work.extend(&previous[block as usize]);
            }
        }
        let ends_at_once = |pc: u32| exits(pc) && kernel.code[pc as usize].guard == NONE;
        let starts = self.starts.iter();
        reaches.iter().zip(starts).map(|(&end, &pc)| !end || ends_at_once(pc)).collect()
    }

    /// See [`Kernel::straight`].
    fn straight(&self, kernel: &Kernel) -> Vec<u32> {
        let mut lengths = vec![0; kernel.code.len()];
        for pair in self.starts.windows(2) {
            let mut length = 0;
            for pc in (pair[0] as usize..pair[1] as usize).rev() {
                let i = &kernel.code[pc];
                let stops = jumps(i.op) || ends(i.op) || is_collective(i.op) || i.guard != NONE;
                length = if stops { 0 } else { length + 1 };
                lengths[pc] = length;
            }
        }
        lengths
    }

    /// Fills the kernel's `order`, `straight` and `collective_ahead`.
    pub fn annotate(&self, kernel: &mut Kernel) -> Result<(), String> {
        let previous = self.previous();
        kernel.order = self.order(kernel, &previous)?;
        kernel.collective_ahead = vec![false; kernel.code.len()];
        kernel.straight = self.straight(kernel);
        // Backwards from each block with a collective.
        let mut ahead = vec![false; self.next.len()];
        let mut work = Vec::new();
        for (block, pair) in self.starts.windows(2).enumerate() {
            let code = &kernel.code[pair[0] as usize..pair[1] as usize];
            if code.iter().any(|instruction| is_collective(instruction.op)) {
                work.push(block as u32);
            }
        }
        while let Some(block) = work.pop() {
            if !std::mem::replace(&mut ahead[block as usize], true) {
                work.extend(&previous[block as usize]);
            }
        }
        for (block, pair) in self.starts.windows(2).enumerate() {
            let mut reach = self.next[block].iter().any(|&goal| ahead[goal as usize]);
            for pc in (pair[0] as usize..pair[1] as usize).rev() {
                reach |= is_collective(kernel.code[pc].op);
                kernel.collective_ahead[pc] = reach;
            }
        }
        Ok(())
    }
}
