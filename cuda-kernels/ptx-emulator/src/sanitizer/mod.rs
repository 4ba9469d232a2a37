//! The race check.
//!
//! Two accesses to the same bytes, one of them a write, race unless one happened before the other
//! or both are strong (atomics, `.relaxed`, `.acquire`, `.release`, `.volatile` as below) and their
//! scopes include each other. What happens before what follows the memory model of PTX:
//!
//! * program order in a thread, but an asynchronous copy (`cp.async`) runs beside its thread until
//!   that waits for it;
//! * `bar.sync`, `bar.red`, `bar.arrive` and `bar.warp.sync` between those that meet;
//! * what a thread releases at an address (a fence and then a strong write, or `.release`), before
//!   what another does that reads it there and acquires it (a strong read and then a fence, or
//!   `.acquire`), over any chain of atomics and threads, inside the scopes of all of these;
//! * an arrival at an mbarrier, before what follows a wait that saw its phase end; so are copies that
//!   the mbarrier tracks (`cp.async.mbarrier.arrive`).
//!
//! Where it is more lenient: an atomic also acquires at the block's next barrier, as in CUDA's own
//! `threadFenceReduction`. A fence before a barrier counts for what others write after that, and one after
//! it for what others read before. Threads may write one constant to the same place (a flag), the plain read
//! that a compare-and-swap will check may be stale, and bytes of a wide load that nobody uses do
//! not count. Where it is stricter: a volatile write is strong only if it is of a constant or
//! follows a fence. Others, of data, may be polled in a loop, but not just read or overwritten.

mod access;
mod clocks;
mod shadow;
mod vector_clock;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::access::{Actor, Conflict, Kind, Touch};
pub use self::clocks::Clocks;
pub use self::shadow::Shadow;
use self::vector_clock::VectorClock;
use crate::warp::Copy;

/// What an mbarrier passes on: in the phase that runs, and in the last one.
#[derive(Debug, Default)]
struct Phases {
    running: Option<Arc<VectorClock>>,
    ended: Option<Arc<VectorClock>>,
    /// The same of copies: those of a thread with lower numbers than this.
    tracks: Vec<Mark>,
    ended_tracks: Vec<Mark>,
}

/// A thread (warp and lane) and a number of copies.
type Mark = ((u16, u8), u64);

/// A copy that mbarriers track.
#[derive(Debug)]
struct Tracked {
    copy: Copy,
    warp: u16,
    /// Of the thread, when it arrived.
    time: u32,
    number: u64,
}

/// The sanitizer's state of a block, and of the launch.
#[derive(Debug)]
pub struct Sanitizer {
    /// Shadow of shared memory.
    pub shared: Shadow,
    /// Shadow of global memory; the block that runs holds it.
    pub global: Option<Shadow>,
    /// What happened before what.
    pub clocks: Clocks,
    /// Which bytes of shared memory this block wrote.
    pub written: Vec<bool>,
    /// The block's mbarriers, by their address.
    mbarriers: HashMap<u64, Phases>,
    /// Copies that mbarriers track and nobody has waited for, and the number of the next one.
    tracked: Vec<Tracked>,
    next: u64,
}

impl Sanitizer {
    /// For blocks with `shared_bytes` of shared memory, accessed in units of `grain` bytes.
    pub fn new(shared_bytes: usize, grain: usize) -> Sanitizer {
        Sanitizer {
            shared: Shadow::new(grain, 0),
            global: None,
            clocks: Clocks::default(),
            written: vec![false; shared_bytes],
            mbarriers: HashMap::new(),
            tracked: Vec::new(),
            next: 0,
        }
    }

    /// A new block begins.
    pub fn reset(&mut self, block: u32, warps: usize) {
        self.shared.clear();
        self.written.fill(false);
        self.mbarriers.clear();
        self.tracked.clear();
        self.clocks.reset(block, warps);
    }

    /// Records an access to global memory (or shared). An error: it races with an earlier one.
    pub fn touch(
        &mut self,
        global: bool,
        actor: &Actor,
        at: u64,
        bytes: usize,
        touch: Touch,
    ) -> Result<(), Conflict> {
        let shadow = match &mut self.global {
            Some(shadow) if global => shadow,
            _ => &mut self.shared,
        };
        shadow.touch(&self.clocks, actor, at, bytes, touch)?;
        let strong = touch.is_strong();
        // Most kernels have no fences: then nothing is released, and nothing acquired.
        if strong
            && (touch.releases
                || !shadow.released.is_empty()
                || self.clocks.has_fenced(actor.warp, actor.lane.into()))
        {
            self.clocks.pass_on(shadow.released.entry(at).or_default(), actor, touch);
        }
        Ok(())
    }

    /// There is a new mbarrier, or none any more.
    pub fn forget(&mut self, at: u64) {
        self.mbarriers.remove(&at);
    }

    /// A thread arrives at an mbarrier.
    pub fn arrive(&mut self, actor: &Actor, at: u64) {
        let phases = self.mbarriers.entry(at).or_default();
        self.clocks.arrive(actor, &mut phases.running);
    }

    /// An mbarrier's phase ends.
    pub fn end_phase(&mut self, at: u64) {
        let phases = self.mbarriers.entry(at).or_default();
        phases.ended = phases.running.take();
        phases.ended_tracks.append(&mut phases.tracks);
    }

    /// A thread sees that an mbarrier's last phase has ended.
    pub fn acquire(&mut self, actor: &Actor, at: u64) {
        let Some(phases) = self.mbarriers.get_mut(&at) else { return };
        self.clocks.acquire(actor, &phases.ended);
        for (thread, below) in std::mem::take(&mut phases.ended_tracks) {
            self.land_tracked(None, |warp, copy, number| {
                (warp, copy.lane) == thread && number < below
            });
        }
    }

    /// Mbarriers track a warp's copy.
    pub fn track(&mut self, copy: Copy, warp: u16) {
        self.tracked.push(Tracked { copy, warp, time: self.clocks.now(warp), number: self.next });
        self.next += 1;
    }

    /// An mbarrier's phase that runs waits for all of a thread's tracked copies.
    pub fn mark_tracked(&mut self, actor: &Actor, at: u64) {
        let thread = (actor.warp, actor.lane as u8);
        self.mbarriers.entry(at).or_default().tracks.push((thread, self.next));
    }

    /// Tracked copies that fit are complete, as of a time or of their arrival at the mbarrier.
    pub fn land_tracked(&mut self, time: Option<u32>, fits: impl Fn(u16, &Copy, u64) -> bool) {
        let fits = |tracked: &mut Tracked| fits(tracked.warp, &tracked.copy, tracked.number);
        for tracked in self.tracked.extract_if(.., fits).collect::<Vec<_>>() {
            self.land(&tracked.copy, tracked.warp, time.unwrap_or(tracked.time));
        }
    }

    /// A warp's copy is complete, as of a time.
    pub fn land(&mut self, copy: &Copy, warp: u16, time: u32) {
        let (block, thread) = (self.clocks.block(), (warp, copy.lane));
        self.shared.land(block, thread, time, copy.to.into(), copy.bytes.into());
        if let Some(global) = self.global.as_mut().filter(|_| copy.read > 0) {
            global.land(block, thread, time, copy.from, copy.read.into());
        }
    }
}
