//! Reports memory accesses to the sanitizer and the profiler.

use super::env::{Env, Sanitizer, Trouble, trouble};
use crate::error::FaultKind;
use crate::sanitizer::{Actor, Conflict, Touch};
use crate::warp::{LANES, Longs, Warp, lanes};

impl Env<'_> {
    /// Must global accesses be reported?
    #[inline(always)]
    pub(super) fn watches(&self) -> bool {
        self.sanitizer.is_some() || self.profile.is_some() || self.watched
    }

    /// Must shared accesses be reported?
    #[inline(always)]
    pub(super) fn watches_shared(&self) -> bool {
        self.sanitizer.is_some() || self.profile.is_some()
    }

    pub(super) fn profile_global(&mut self, at: &Longs, active: u32, bytes: u64) {
        if let Some(profile) = &mut self.profile {
            profile.global(self.pc as usize, at, active, bytes as usize);
        }
    }

    pub(super) fn profile_shared(&mut self, at: &Longs, active: u32, bytes: usize) {
        if let Some(profile) = &mut self.profile {
            profile.shared(self.pc as usize, at, active, bytes);
        }
    }

    fn actor(&self, warp: &Warp, lane: usize) -> Actor {
        Actor {
            block: self.block,
            warp: self.warp,
            lane: lane as u16,
            pc: self.pc,
            clock: warp.clock,
        }
    }

    /// Reports a warp's global access to the sanitizer.
    pub(super) fn watch_global(
        &mut self,
        warp: &Warp,
        at: &Longs,
        places: &[(usize, u64); LANES],
        active: u32,
        bytes: u64,
        touch: Touch,
    ) -> Result<(), Trouble> {
        for lane in lanes(active) {
            self.watch_lane(warp, at[lane], places[lane], lane, bytes, touch, false)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn watch_lane(
        &mut self,
        warp: &Warp,
        at: u64,
        (index, offset): (usize, u64),
        lane: usize,
        bytes: u64,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let actor = self.actor(warp, lane);
        if let Some(allocation) = self.memory.allocation(index)
            && allocation.is_watched()
        {
            let checks = touch.reads() && self.sanitizer.is_some();
            if checks && !allocation.is_written(offset, bytes as usize) {
                let detail = format!(
                    "{bytes} bytes at {at:#x} of global memory, byte {offset} of an allocation of \
                     {} bytes, were never written",
                    allocation.bytes
                );
                return Err(trouble(FaultKind::UninitialisedGlobal, lane, detail));
            }
            if touch.writes() {
                allocation.mark(offset, bytes as usize);
            }
        }
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let Sanitizer { global, clocks, .. } = &mut **sanitizer;
        global.touch(clocks, actor, at, bytes as usize, touch, same).map_err(|conflict| {
            let kind = match conflict.block == actor.block {
                true => FaultKind::Race,
                false => FaultKind::RaceBetweenBlocks,
            };
            self.race(kind, "global", at, bytes, touch, lane, conflict)
        })
    }

    /// Reports a thread's shared access, effective now, to the sanitizer.
    pub(super) fn watch_shared(
        &mut self,
        warp: &Warp,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let range = at as usize..at as usize + bytes;
        if touch.reads() && !sanitizer.written[range.clone()].iter().all(|&written| written) {
            let detail = format!(
                "{bytes} bytes at byte {at} were not written by this block, or not yet: a barrier may be missing"
            );
            return Err(trouble(FaultKind::UninitialisedShared, lane, detail));
        }
        if touch.writes() {
            sanitizer.written[range].fill(true);
        }
        self.touch_shared(warp, at, lane, bytes, touch, same)
    }

    /// The race check alone.
    pub(super) fn touch_shared(
        &mut self,
        warp: &Warp,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let actor = self.actor(warp, lane);
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let Sanitizer { shared, clocks, .. } = &mut **sanitizer;
        shared.touch(clocks, actor, at, bytes, touch, same).map_err(|conflict| {
            self.race(FaultKind::Race, "shared", at, bytes as u64, touch, lane, conflict)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn race(
        &self,
        kind: FaultKind,
        space: &str,
        at: u64,
        bytes: u64,
        touch: Touch,
        lane: usize,
        conflict: Conflict,
    ) -> Trouble {
        let verb = match touch {
            Touch::Read | Touch::AtomicRead => "reads",
            Touch::Write | Touch::AtomicWrite => "writes",
            Touch::Atomic => "changes",
        };
        let other = if conflict.wrote { "wrote" } else { "read" };
        let place = self.kernel.places[conflict.pc as usize];
        let whose = match kind {
            FaultKind::RaceBetweenBlocks => format!("block {} (in order), ", conflict.block),
            _ => String::new(),
        };
        let source = match place.source_line {
            0 => String::new(),
            line => format!(" (source line {line})"),
        };
        let detail = format!(
            "{verb} {bytes} bytes at {at:#x} of {space} memory that {whose}thread {} {other} at \
             line {}{source} with no barrier between",
            conflict.who, place.line
        );
        trouble(kind, lane, detail)
    }
}
