//! The upper levels of the tree of [`tensor::shards`]: what the ranks' branches add up to.
//!
//! At level l of the tree, each rank and the one whose number differs in bit l exchange their sums and
//! add them: as a + b = b + a, both have the same bits. Where a vector is long, the two share it: each
//! adds one half, goes on with that, and gets the other half on the way back (recursive halving and
//! doubling: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in
//! MPICH", 2005). Then a rank sends 2 (R - 1) / R of its numbers, as in a ring, in 2 log2 R messages.

use tensor::arena::ALIGN;
use tensor::{Backend, Io, Kernel, Result, Slot};

use crate::transport::{Lane, Transport};

/// Most elements that are sent whole, in log2 R messages: that many cost less than the halves' messages.
const WHOLE: usize = 1 << 14;
/// Most elements that are summed at once.
pub(crate) const EXCHANGED: usize = 1 << 20;

/// Elements of scratch memory that a sum of so many takes, for what the others send.
pub fn scratch(elements: usize) -> usize {
    elements.min(EXCHANGED)
}

/// Replaces `x` by the sum of all ranks' `x`; `theirs` is scratch memory.
///
/// # Errors
/// A rank that is gone.
pub fn sum(transport: &dyn Transport, lane: Lane, x: &mut [f32], theirs: &mut [f32]) -> Result<()> {
    let whole = Slot::new(0, x.len());
    Tree::of(transport, &mut OnHost { transport, lane, x, theirs }).sum(whole)
}

/// As [`sum`], on devices that exchange numbers themselves.
///
/// # Errors
/// None: a fault shows later, as those of kernels do.
pub fn sum_linked(
    transport: &dyn Transport,
    backend: &mut dyn Backend,
    x: Slot,
    theirs: Slot,
) -> Result<()> {
    Tree::of(transport, &mut Linked { backend, theirs }).sum(x)
}

/// A vector in whose parts ranks exchange and add.
trait Vector {
    /// Sends a part, and receives another.
    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) -> Result<()>;

    /// Sends a part, and adds to `x` what comes.
    fn exchange_and_add(&mut self, with: usize, sent: Slot, x: Slot) -> Result<()>;
}

struct OnHost<'a> {
    transport: &'a dyn Transport,
    lane: Lane,
    x: &'a mut [f32],
    theirs: &'a mut [f32],
}

impl Vector for OnHost<'_> {
    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) -> Result<()> {
        let parts = self.x.get_disjoint_mut([range(mine), range(theirs)]);
        let [mine, theirs] = parts.expect("parts that do not overlap");
        self.transport.exchange(self.lane, with, mine, theirs)
    }

    fn exchange_and_add(&mut self, with: usize, sent: Slot, x: Slot) -> Result<()> {
        let theirs = &mut self.theirs[..x.len];
        self.transport.exchange(self.lane, with, &self.x[range(sent)], theirs)?;
        self.x[range(x)].iter_mut().zip(theirs).for_each(|(x, theirs)| *x += *theirs);
        Ok(())
    }
}

fn range(part: Slot) -> std::ops::Range<usize> {
    part.offset..part.offset + part.len
}

struct Linked<'a> {
    backend: &'a mut dyn Backend,
    theirs: Slot,
}

impl Vector for Linked<'_> {
    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) -> Result<()> {
        self.backend.exchange(with, mine, theirs);
        Ok(())
    }

    fn exchange_and_add(&mut self, with: usize, sent: Slot, x: Slot) -> Result<()> {
        let theirs = self.theirs.part(0, x.len);
        self.backend.exchange(with, sent, theirs);
        let io = Io { inputs: &[x, theirs], outputs: &[x], workspace: Slot::default() };
        self.backend.run(&Kernel::Add, &io);
        Ok(())
    }
}

/// One rank's part of the tree.
struct Tree<'a> {
    rank: usize,
    ranks: usize,
    vector: &'a mut dyn Vector,
}

impl<'a> Tree<'a> {
    fn of(transport: &dyn Transport, vector: &'a mut dyn Vector) -> Tree<'a> {
        Tree { rank: transport.rank(), ranks: transport.size(), vector }
    }

    fn sum(mut self, x: Slot) -> Result<()> {
        for start in (0..x.len).step_by(EXCHANGED) {
            let part = x.part(start, EXCHANGED.min(x.len - start));
            if part.len > WHOLE {
                self.by_halves(part, 0)?;
            } else {
                self.whole(part)?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, x: Slot) -> Result<()> {
        let levels = 0..self.ranks.ilog2();
        levels.into_iter().try_for_each(|l| self.vector.exchange_and_add(self.rank ^ 1 << l, x, x))
    }

    fn by_halves(&mut self, x: Slot, level: usize) -> Result<()> {
        if 1 << level == self.ranks {
            return Ok(());
        }
        let with = self.rank ^ 1 << level;
        let middle = (x.len / 2).next_multiple_of(ALIGN).min(x.len);
        let (first, second) = (x.part(0, middle), x.part(middle, x.len - middle));
        let (mine, other) = if self.rank < with { (first, second) } else { (second, first) };
        self.vector.exchange_and_add(with, other, mine)?;
        self.by_halves(mine, level + 1)?;
        self.vector.exchange(with, mine, other)
    }
}
