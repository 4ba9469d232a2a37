//! The upper levels of the tree of [`tensor::shards`]: what the ranks' branches add up to.
//!
//! At level l of the tree, each rank and the one whose number differs in bit l exchange their sums and
//! add them: as a + b = b + a, both have the same bits. Where a vector is long, the two share it: each
//! adds one half, goes on with that, and gets the other half on the way back (recursive halving and
//! doubling: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in
//! MPICH", 2005). Then a rank sends 2 (R - 1) / R of its numbers, as in a ring, in 2 log2 R messages.

use std::sync::Arc;

use tensor::arena::ALIGN;
use tensor::{Backend, Io, Kernel, Result, Slot};

use crate::transport::Transport;

/// Most elements that are sent whole, in log2 R messages: that many cost less than the halves' messages.
const WHOLE: usize = 1 << 14;
/// Most elements that are summed at once.
pub(crate) const EXCHANGED: usize = 1 << 20;

/// The ranks, and memory to exchange numbers with them.
pub struct RankSums {
    transport: Arc<dyn Transport>,
    /// The device exchanges numbers itself.
    is_linked: bool,
    /// Scratch memory on the device for what the others send.
    theirs: Slot,
    /// On the host: what is sent and what is received, for a device that is not linked.
    host: [Vec<f32>; 2],
}

impl RankSums {
    /// Elements of scratch memory that sums of up to `most` elements take on the device.
    pub fn scratch(transport: &dyn Transport, most: usize) -> usize {
        if transport.size() == 1 { 0 } else { most.min(EXCHANGED) }
    }

    /// The ranks, with such scratch memory.
    pub fn new(transport: Arc<dyn Transport>, theirs: Slot) -> RankSums {
        let host = [(); 2].map(|()| vec![0.0; theirs.len]);
        RankSums { transport, is_linked: false, theirs, host }
    }

    /// The ranks.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Lets the ranks' devices exchange numbers themselves, if all of them can. All ranks call it.
    ///
    /// # Errors
    /// Devices that do not find each other.
    pub fn link(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let transport = &*self.transport;
        if transport.size() > 1 && transport.first(!backend.can_link())?.is_none() {
            let share = &mut |bytes: &mut [u8]| transport.broadcast(0, bytes);
            backend.link(transport.rank(), transport.size(), share)?;
            self.is_linked = true;
        }
        Ok(())
    }

    /// Replaces `x` by the sum of all ranks' `x`.
    ///
    /// # Errors
    /// A rank that is gone.
    pub fn sum(&mut self, backend: &mut dyn Backend, x: Slot) -> Result<()> {
        if self.transport.size() == 1 {
            return Ok(());
        }
        for start in (0..x.len).step_by(EXCHANGED) {
            let part = x.part(start, EXCHANGED.min(x.len - start));
            if part.len > WHOLE {
                self.by_halves(backend, part, 0)?;
            } else {
                self.whole(backend, part)?;
            }
        }
        Ok(())
    }

    fn whole(&mut self, backend: &mut dyn Backend, x: Slot) -> Result<()> {
        for level in 0..self.transport.size().ilog2() {
            self.exchange_and_add(backend, self.transport.rank() ^ 1 << level, x, x)?;
        }
        Ok(())
    }

    fn by_halves(&mut self, backend: &mut dyn Backend, x: Slot, level: usize) -> Result<()> {
        if 1 << level == self.transport.size() {
            return Ok(());
        }
        let rank = self.transport.rank();
        let with = rank ^ 1 << level;
        let middle = (x.len / 2).next_multiple_of(ALIGN).min(x.len);
        let (first, second) = (x.part(0, middle), x.part(middle, x.len - middle));
        let (mine, other) = if rank < with { (first, second) } else { (second, first) };
        self.exchange_and_add(backend, with, other, mine)?;
        self.by_halves(backend, mine, level + 1)?;
        self.exchange(backend, with, mine, other)
    }

    /// Sends `sent`, and adds to `x` what comes.
    fn exchange_and_add(
        &mut self,
        backend: &mut dyn Backend,
        with: usize,
        sent: Slot,
        x: Slot,
    ) -> Result<()> {
        let theirs = self.theirs.part(0, x.len);
        self.exchange(backend, with, sent, theirs)?;
        let workspace = Slot::default();
        backend.run(&Kernel::Add, &Io { inputs: &[x, theirs], outputs: &[x], workspace });
        Ok(())
    }

    fn exchange(
        &mut self,
        backend: &mut dyn Backend,
        with: usize,
        mine: Slot,
        theirs: Slot,
    ) -> Result<()> {
        if self.is_linked {
            backend.exchange(with, mine, theirs);
            return Ok(());
        }
        let [sent, received] = &mut self.host;
        let (sent, received) = (&mut sent[..mine.len], &mut received[..theirs.len]);
        backend.read(mine, sent);
        self.transport.exchange(with, sent, received)?;
        backend.write(theirs, received);
        Ok(())
    }
}
