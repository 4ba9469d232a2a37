//! The planner: all values in one arena, greedy by size, best fit
//!
//!     for each block, the largest first (of equal ones the earlier):
//!         busy = the blocks placed already that live at the same time
//!         put it into the smallest gap between these that holds it; if there is none, behind them
//!
//! Two blocks may share memory if their lives do not overlap. Lives include both ends: if one's last
//! node is the other's first, both exist while that node runs, and they must not share. Finding the
//! best layout is NP-hard; this greedy one mostly comes close to the lower bound, the most that is
//! alive at any one time.
//!
//! It is autograd/src/plan.rs, and `carp plan --svg` draws what comes of it.

/// A value: its size and its life, from node `first` to node `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

/// Do both exist at some time?
fn overlap(a: Block, b: Block) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// The offset of each block in the arena.
pub fn place(blocks: &[Block]) -> Vec<usize> {
    let mut offsets = vec![0; blocks.len()];
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&block| std::cmp::Reverse(blocks[block].len));
    let mut placed: Vec<usize> = Vec::new();
    for block in order {
        // (offset, end) of the blocks that are in the way, by offset.
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| overlap(blocks[other], blocks[block]))
            .map(|&other| (offsets[other], offsets[other] + blocks[other].len))
            .collect();
        busy.sort();
        // YOUR CODE BEGINS
        offsets[block] = todo!(
            "the start of the smallest gap that holds blocks[block].len, or the end of all busy ones"
        );
        // YOUR CODE ENDS
        placed.push(block);
    }
    offsets
}
