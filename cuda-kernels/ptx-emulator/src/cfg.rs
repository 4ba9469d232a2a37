//! The control flow graph: where lanes that diverge at a jump reconverge.
//!
//! That is the immediate post-dominator of the jump: the first instruction on every path from the
//! jump to the end. It is computed as the immediate dominator in the reversed graph (Cooper,
//! Harvey, Kennedy: A Simple, Fast Dominance Algorithm, 2001).

use super::ops::{Kernel, NONE, Op};

/// Steps after which a graph is rejected as too tangled.
const MAX_STEPS: usize = 100_000_000;
/// No block.
const NOWHERE: u32 = u32::MAX;

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
            | Op::Barrier { .. }
            | Op::BarrierReduce { .. }
            | Op::WarpBarrier
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

    /// The immediate post-dominator of each block, if any. An error if that takes too long.
    fn post_dominators(&self, previous: &[Vec<u32>]) -> Result<Vec<u32>, String> {
        // Number the blocks by a depth-first walk from the ends, backwards; the ends' common
        // end is number 0.
        let blocks = self.next.len();
        let ends = (0..blocks as u32).filter(|&block| self.next[block as usize].is_empty());
        let ends: Vec<u32> = ends.collect();
        let exit = blocks;
        let mut order = Vec::with_capacity(blocks + 1);
        let mut seen = vec![false; blocks + 1];
        let into = |block: usize| if block == exit { &ends } else { &previous[block] };
        let mut stack = vec![(exit, 0)];
        seen[exit] = true;
        while let Some((block, at)) = stack.last_mut() {
            match into(*block).get(*at) {
                Some(&goal) => {
                    *at += 1;
                    if !std::mem::replace(&mut seen[goal as usize], true) {
                        stack.push((goal as usize, 0));
                    }
                }
                None => {
                    order.push(*block);
                    stack.pop();
                }
            }
        }
        order.reverse();
        let mut number = vec![usize::MAX; blocks + 1];
        for (at, &block) in order.iter().enumerate() {
            number[block] = at;
        }
        // Dominators by number; number 0 is the end.
        let mut dominator = vec![usize::MAX; order.len()];
        dominator[0] = 0;
        let (mut changed, mut steps) = (true, 0);
        while changed {
            changed = false;
            for at in 1..order.len() {
                let block = order[at];
                let mut found = usize::MAX;
                let goals = self.next[block].iter().map(|&goal| number[goal as usize]);
                let leaves = self.next[block].is_empty().then_some(0);
                for mut goal in goals.chain(leaves) {
                    if goal == usize::MAX || dominator[goal] == usize::MAX {
                        continue;
                    }
                    if found == usize::MAX {
                        found = goal;
                        continue;
                    }
                    while found != goal {
                        steps += 1;
                        if found > goal {
                            found = dominator[found];
                        } else {
                            goal = dominator[goal];
                        }
                    }
                }
                if dominator[at] != found {
                    dominator[at] = found;
                    changed = true;
                }
                steps += 1;
            }
            if steps > MAX_STEPS {
                return Err("control flow too tangled".to_owned());
            }
        }
        Ok((0..blocks)
            .map(|block| match number[block] {
                usize::MAX => NOWHERE,
                at => match order[dominator[at]] {
                    block if block == exit => NOWHERE,
                    block => block as u32,
                },
            })
            .collect())
    }

    /// Fills the kernel's `meets` and `collective_ahead`.
    pub fn annotate(&self, kernel: &mut Kernel) -> Result<(), String> {
        let previous = self.previous();
        let dominators = self.post_dominators(&previous)?;
        kernel.meets = vec![NOWHERE; kernel.code.len()];
        kernel.collective_ahead = vec![false; kernel.code.len()];
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
            let last = pair[1] as usize - 1;
            let meet = dominators[block];
            if jumps(kernel.code[last].op) && meet != NOWHERE {
                let at = self.starts[meet as usize];
                let first = kernel.code[at as usize];
                // Lanes whose path goes straight to the end need not wait for the others.
                if !(matches!(first.op, Op::Exit) && first.guard == NONE) {
                    kernel.meets[last] = at;
                }
            }
        }
        Ok(())
    }
}
