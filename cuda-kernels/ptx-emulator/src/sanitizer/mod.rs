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
//! * an arrival at an mbarrier, before what follows a wait that saw its phase end.
//!
//! Where it is more lenient: an atomic also acquires at the block's next barrier, as in CUDA's own
//! `threadFenceReduction`. Threads may write one constant to the same place (a flag), the plain read
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

/// What an mbarrier passes on: in the phase that runs, and in the last one.
#[derive(Debug, Default)]
struct Phases {
    running: Option<Arc<VectorClock>>,
    ended: Option<Arc<VectorClock>>,
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
        }
    }

    /// A new block begins.
    pub fn reset(&mut self, block: u32, warps: usize) {
        self.shared.clear();
        self.written.fill(false);
        self.mbarriers.clear();
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

    /// A thread arrives at an mbarrier; `ends`: with it the phase ends.
    pub fn arrive(&mut self, actor: &Actor, at: u64, ends: bool) {
        let phases = self.mbarriers.entry(at).or_default();
        self.clocks.arrive(actor, &mut phases.running);
        if ends {
            phases.ended = phases.running.take();
        }
    }

    /// A thread sees that an mbarrier's last phase has ended.
    pub fn acquire(&mut self, actor: &Actor, at: u64) {
        if let Some(phases) = self.mbarriers.get(&at) {
            self.clocks.acquire(actor, &phases.ended);
        }
    }
}
