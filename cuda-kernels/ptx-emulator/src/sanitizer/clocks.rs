//! Which accesses of a block's threads happened before which.
//!
//! Each warp has a time, which barriers and fences advance. A warp knows up to which time the
//! accesses of each warp of its block happened before its own: since the last barrier that both
//! passed. Inside a warp, `bar.warp.sync` does the same for lanes. What a thread learns through
//! memory (another has released it, this one acquired it) is a vector clock of its own, which those
//! that meet at a barrier share, and so they do what their fences have ordered.

use std::sync::Arc;

use super::access::{Access, Actor, Kind, Touch};
use super::vector_clock::{VectorClock, join};
use crate::warp::{LANES, lanes};

/// A clock that threads share; nothing is known before the first.
type Known = Option<Arc<VectorClock>>;

/// What was released at an address.
#[derive(Debug, Default)]
pub struct Release {
    /// The block that released last.
    block: u32,
    /// What only that block's threads may acquire.
    narrow: Known,
    /// What all threads may acquire.
    wide: Known,
}

/// Something that a thread has read, but not ordered before its next accesses.
#[derive(Debug, Clone)]
struct Pending {
    what: Arc<VectorClock>,
    /// From a thread of the same block?
    near: bool,
    /// By an atomic?
    atomic: bool,
}

#[derive(Debug, Clone, Default)]
struct Thread {
    acquired: Known,
    pending: Vec<Pending>,
    /// What the last fence ordered before later writes, for the block and for the device.
    released: [Known; 2],
}

#[derive(Debug)]
struct WarpClock {
    now: u32,
    /// Accesses of each warp of the block before this time happened before this one's.
    seen: Vec<u32>,
    /// The same between lanes, where only some have met: of `[lane][other]`.
    pairs: Option<Box<[[u32; LANES]; LANES]>>,
    threads: Vec<Thread>,
}

/// The clocks of a block.
#[derive(Debug, Default)]
pub struct Clocks {
    block: u32,
    warps: Vec<WarpClock>,
    /// Has any thread read what was released?
    informed: bool,
    /// Has any come to a fence?
    fenced: bool,
}

impl Clocks {
    /// All at zero, for a block of `warps` warps.
    pub fn reset(&mut self, block: u32, warps: usize) {
        self.block = block;
        (self.informed, self.fenced) = (false, false);
        self.warps.clear();
        self.warps.extend((0..warps).map(|_| WarpClock {
            now: 0,
            seen: vec![0; warps],
            pairs: None,
            threads: vec![Thread::default(); LANES],
        }));
    }

    /// The block.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// A warp's time.
    pub fn now(&self, warp: u16) -> u32 {
        self.warps[warp as usize].now
    }

    /// Is all that a warp's lanes know of others the same for all of them?
    pub(super) fn know_whole_warps(&self, warp: u16) -> bool {
        !self.informed && self.warps[warp as usize].pairs.is_none()
    }

    /// Advances a warp's time: it comes to a barrier.
    pub fn advance(&mut self, warp: usize) -> u32 {
        self.warps[warp].now += 1;
        self.warps[warp].now
    }

    /// Did all of the access happen before the actor's next one?
    #[inline(always)]
    pub(super) fn ordered(&self, access: &Access, actor: &Actor) -> bool {
        let warp = &self.warps[actor.warp as usize];
        let mut rest = access.lanes;
        if access.block == self.block {
            if access.time < warp.seen[access.warp as usize] {
                return true;
            }
            if access.warp == actor.warp {
                rest &= !(1 << actor.lane);
                if let Some(pairs) = &warp.pairs {
                    let row = &pairs[actor.lane as usize];
                    rest &= !lanes(rest)
                        .filter(|&other| access.time < row[other])
                        .fold(0, |mask, other| mask | 1 << other);
                }
            }
        }
        if rest == 0 || !self.informed {
            return rest == 0;
        }
        let acquired = &warp.threads[actor.lane as usize].acquired;
        acquired.as_ref().is_some_and(|known| {
            lanes(rest).all(|lane| known.contains(access.block, access.warp, lane, access.time))
        })
    }

    /// `came` (warps and their time after it) reached a barrier; after all that they did before
    /// come those that waited there, `learn`.
    pub fn meet(&mut self, came: &[(usize, u32)], learn: &[usize]) {
        let mut all = vec![0; self.warps.len()];
        for &(warp, time) in came {
            let seen = &self.warps[warp].seen;
            all.iter_mut().zip(seen).for_each(|(all, &seen)| *all = seen.max(*all));
            all[warp] = all[warp].max(time);
        }
        for &warp in learn {
            self.warps[warp].seen.clone_from(&all);
        }
        if !self.informed && !self.fenced {
            return;
        }
        let mut all = Thread::default();
        for &(warp, _) in came {
            for thread in &mut self.warps[warp].threads {
                thread.take(|pending| pending.atomic);
                all.learn(thread);
            }
        }
        for &warp in learn {
            self.warps[warp].threads.iter_mut().for_each(|thread| thread.clone_from(&all));
        }
    }

    /// Lanes meet at `bar.warp.sync`, each with those of its mask.
    pub fn meet_lanes(&mut self, warp: u16, active: u32, live: u32, masks: &[u32; LANES]) {
        let clock = &mut self.warps[warp as usize];
        clock.now += 1;
        let now = clock.now;
        let everyone = |lane: usize| masks[lane] & live == live;
        if active == live && lanes(active).all(everyone) {
            clock.seen[warp as usize] = now;
        } else {
            let pairs = clock.pairs.get_or_insert_with(|| Box::new([[0; LANES]; LANES]));
            for lane in lanes(active) {
                lanes(masks[lane] & active).for_each(|other| pairs[lane][other] = now);
            }
        }
        if self.informed || self.fenced {
            let before = clock.threads.clone();
            for lane in lanes(active) {
                for other in lanes(masks[lane] & active) {
                    clock.threads[lane].learn(&before[other]);
                }
            }
        }
    }

    /// A fence of some lanes, for the block or (`wide`) for the device.
    pub fn fence(&mut self, warp: u16, active: u32, wide: bool) {
        self.fenced = true;
        for lane in lanes(active) {
            self.warps[warp as usize].threads[lane].take(|pending| wide || pending.near);
            let known = self.knowledge(warp, lane);
            let thread = &mut self.warps[warp as usize].threads[lane];
            if wide {
                thread.released[1] = Some(Arc::clone(&known));
            }
            thread.released[0] = Some(known);
        }
        self.warps[warp as usize].now += 1;
    }

    /// Has the thread come to a fence?
    pub fn has_fenced(&self, warp: u16, lane: usize) -> bool {
        self.warps[warp as usize].threads[lane].released[0].is_some()
    }

    /// All that happened before a thread's next access.
    fn knowledge(&self, warp: u16, lane: usize) -> Arc<VectorClock> {
        let clock = &self.warps[warp as usize];
        let mut known = clock.threads[lane].acquired.as_deref().cloned().unwrap_or_default();
        for (other, &seen) in clock.seen.iter().enumerate() {
            known.learn(self.block, other as u16, None, seen);
        }
        for (other, &seen) in clock.pairs.iter().flat_map(|pairs| pairs[lane].iter().enumerate()) {
            known.learn(self.block, warp, Some(other), seen);
        }
        known.learn(self.block, warp, Some(lane), clock.now + 1);
        Arc::new(known)
    }

    /// A strong access to an address at which `release` was released.
    pub(super) fn pass_on(&mut self, release: &mut Release, actor: &Actor, touch: Touch) {
        let (warp, lane) = (actor.warp as usize, actor.lane as usize);
        let near = release.block == self.block;
        let device = touch.kind != Kind::StrongInBlock;
        if touch.reads {
            let narrow = release.narrow.iter().filter(|_| near);
            let wide = release.wide.iter().filter(|_| near || device);
            let thread = &mut self.warps[warp].threads[lane];
            for what in narrow.chain(wide) {
                self.informed = true;
                if touch.acquires {
                    join(&mut thread.acquired, what);
                } else {
                    thread.pending.retain(|known| !Arc::ptr_eq(&known.what, what));
                    let what = Arc::clone(what);
                    thread.pending.push(Pending { what, near, atomic: touch.writes });
                }
            }
        }
        if !touch.writes {
            return;
        }
        let [narrow, wide] = if touch.releases {
            let known = self.knowledge(actor.warp, lane);
            self.warps[warp].now += 1;
            [Some(Arc::clone(&known)), device.then_some(known)]
        } else {
            let [narrow, wide] = &self.warps[warp].threads[lane].released;
            [narrow.clone(), wide.clone().filter(|_| device)]
        };
        // A write ends what was released before; an atomic passes it on.
        if !touch.reads {
            *release = Release::default();
        }
        if !near {
            release.narrow = None;
        }
        release.block = self.block;
        narrow.iter().for_each(|known| join(&mut release.narrow, known));
        wide.iter().for_each(|known| join(&mut release.wide, known));
    }

    /// A thread arrives at an mbarrier: what it knows joins what the phase releases.
    pub fn arrive(&mut self, actor: &Actor, phase: &mut Known) {
        let known = self.knowledge(actor.warp, actor.lane as usize);
        join(phase, &known);
        self.warps[actor.warp as usize].now += 1;
    }

    /// A thread sees that a phase of an mbarrier is complete.
    pub fn acquire(&mut self, actor: &Actor, phase: &Known) {
        self.informed |= phase.is_some();
        let thread = &mut self.warps[actor.warp as usize].threads[actor.lane as usize];
        phase.iter().for_each(|known| join(&mut thread.acquired, known));
    }
}

impl Thread {
    /// Meets another at a barrier: what its fences ordered before later writes, this one's may
    /// publish, and what it has read, a fence of this one acquires.
    fn learn(&mut self, other: &Thread) {
        other.acquired.iter().for_each(|known| join(&mut self.acquired, known));
        for (own, other) in self.released.iter_mut().zip(&other.released) {
            other.iter().for_each(|known| join(own, known));
        }
        for new in &other.pending {
            let known = |pending: &Pending| {
                Arc::ptr_eq(&pending.what, &new.what) && pending.atomic == new.atomic
            };
            if !self.pending.iter().any(known) {
                self.pending.push(new.clone());
            }
        }
    }

    /// Acquires what was read and fits.
    fn take(&mut self, fits: impl Fn(&Pending) -> bool) {
        for pending in self.pending.extract_if(.., |pending| fits(pending)) {
            join(&mut self.acquired, &pending.what);
        }
    }
}
