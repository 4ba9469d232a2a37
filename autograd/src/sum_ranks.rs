//! The upper levels of the tree of [`tensor::shards`]: what the ranks' branches add up to.
//!
//! At level l of the tree, each rank and the one whose number differs in bit l exchange their sums and
//! add them: as a + b = b + a, both have the same bits. Where a vector is long, the two share it: each
//! adds one half, goes on with that, and gets the other half on the way back (recursive halving and
//! doubling: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in
//! MPICH", 2005). Then a rank sends 2 (R - 1) / R of its numbers, as in a ring, in 2 log2 R messages.

use tensor::Result;

use crate::transport::Transport;

/// Most elements that are sent whole, in log2 R messages: that many cost less than the halves' messages.
const WHOLE: usize = 1 << 14;

/// Replaces `x` by the sum of all ranks' `x`; `theirs` is scratch memory of the same length.
///
/// # Errors
/// A rank that is gone.
pub fn sum_ranks(x: &mut [f32], theirs: &mut [f32], ranks: &dyn Transport) -> Result<()> {
    if x.len() > WHOLE {
        return by_halves(x, theirs, ranks, 0);
    }
    for level in 0..ranks.size().ilog2() {
        ranks.exchange(ranks.rank() ^ 1 << level, x, theirs)?;
        add(x, theirs);
    }
    Ok(())
}

fn by_halves(x: &mut [f32], theirs: &mut [f32], ranks: &dyn Transport, level: usize) -> Result<()> {
    if 1 << level == ranks.size() {
        return Ok(());
    }
    let with = ranks.rank() ^ 1 << level;
    let (first, second) = x.split_at_mut(x.len() / 2);
    let (mine, other) = if ranks.rank() < with { (first, second) } else { (second, first) };
    let theirs = &mut theirs[..mine.len()];
    ranks.exchange(with, other, theirs)?;
    add(mine, theirs);
    by_halves(mine, theirs, ranks, level + 1)?;
    ranks.exchange(with, mine, other)
}

fn add(x: &mut [f32], theirs: &[f32]) {
    x.iter_mut().zip(theirs).for_each(|(x, y)| *x += y);
}
