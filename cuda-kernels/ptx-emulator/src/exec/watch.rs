//! Reports memory accesses to the sanitizer and the profiler.

use super::env::{Env, Problem, Trouble, Unwritten, trouble};
use crate::error::{FaultKind, Place};
use crate::ops::{MemoryOrder, Semantics};
use crate::profiler::WarpAccess;
use crate::sanitizer::{Actor, Conflict, Kind, Touch};
use crate::warp::{LANES, Longs, Warp, lanes};

/// How an atomic touches memory.
pub(super) fn atomic_touch(semantics: Semantics) -> Touch {
    let Semantics { order, in_block } = semantics;
    let both = order == MemoryOrder::AcquireRelease;
    Touch {
        writes: true,
        kind: if in_block { Kind::StrongInBlock } else { Kind::Strong },
        acquires: both || order == MemoryOrder::Acquire,
        releases: both || order == MemoryOrder::Release,
        ..Touch::READ
    }
}

impl Env<'_> {
    /// Is more to be checked of an access than its address?
    pub(super) fn checks(&self) -> bool {
        self.sanitizer.is_some() || self.watched
    }

    /// Must global accesses be reported?
    #[inline(always)]
    pub(super) fn watches(&self) -> bool {
        self.checks() || self.profile.is_some()
    }

    /// Must shared accesses be reported?
    #[inline(always)]
    pub(super) fn watches_shared(&self) -> bool {
        self.sanitizer.is_some() || self.profile.is_some()
    }

    pub(super) fn profile_global(&mut self, at: &Longs, active: u32, bytes: u64) {
        if let Some(profile) = &mut self.profile {
            profile.global(self.pc as usize, at, active, bytes as usize);
            self.keep_access(at, active, bytes as usize, false);
        }
    }

    pub(super) fn profile_shared(&mut self, at: &Longs, active: u32, bytes: usize) {
        if let Some(profile) = &mut self.profile {
            profile.shared(self.pc as usize, at, active, bytes);
            self.keep_access(at, active, bytes, true);
        }
    }

    fn keep_access(&mut self, at: &Longs, active: u32, bytes: usize, shared: bool) {
        if let (Some(profile), 0) = (&mut self.profile, self.block) {
            let place = self.kernel.places[self.pc as usize];
            profile.keep(|| WarpAccess { place, warp: self.warp, shared, bytes, active, at: *at });
        }
    }

    /// The thread that makes an access.
    pub(super) fn actor(&self, lane: usize) -> Actor {
        Actor { block: self.block, warp: self.warp, lane: lane as u16, pc: self.pc }
    }

    /// How a load touches memory.
    pub(super) fn load_touch(&self, semantics: Semantics) -> Touch {
        let Semantics { order, in_block } = semantics;
        let kind = match order {
            MemoryOrder::Weak if self.kernel.hints[self.pc as usize].checked => Kind::Strong,
            MemoryOrder::Weak => Kind::Weak,
            MemoryOrder::ReadOnly => Kind::ReadOnly,
            _ if in_block => Kind::StrongInBlock,
            _ if self.kernel.hints[self.pc as usize].polls => Kind::Poll,
            _ => Kind::Strong,
        };
        Touch { kind, acquires: order == MemoryOrder::Acquire, ..Touch::READ }
    }

    /// How a store touches memory; `same`: the bytes have its value already.
    pub(super) fn store_touch(&self, semantics: Semantics, lane: usize, same: bool) -> Touch {
        let Semantics { order, in_block } = semantics;
        let constant = self.kernel.hints[self.pc as usize].constant;
        let fenced =
            || self.sanitizer.as_ref().is_some_and(|s| s.clocks.has_fenced(self.warp, lane));
        let kind = match order {
            MemoryOrder::Weak if constant => Kind::Constant,
            MemoryOrder::Weak => Kind::Weak,
            MemoryOrder::Volatile if !constant && !fenced() => Kind::Volatile,
            _ if in_block => Kind::StrongInBlock,
            _ => Kind::Strong,
        };
        Touch { kind, releases: order == MemoryOrder::Release, same, ..Touch::WRITE }
    }

    /// The elements of a load that somebody uses: runs of them, first and count.
    pub(super) fn used(&self, elements: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let unused = self.kernel.hints[self.pc as usize].unused;
        let is_used = move |k: usize| k < elements && unused >> k & 1 == 0;
        let starts = move |k: usize| is_used(k) && (k == 0 || !is_used(k - 1));
        (0..elements)
            .filter(move |&k| starts(k))
            .map(move |first| (first, (first..).take_while(|&k| is_used(k)).count()))
    }

    /// Reports a warp's global access to the sanitizer.
    pub(super) fn watch_global(
        &mut self,
        at: &Longs,
        places: &[(usize, u64); LANES],
        active: u32,
        bytes: u64,
        touch: Touch,
    ) -> Result<(), Trouble> {
        for lane in lanes(active) {
            self.watch_lane(at[lane], places[lane], lane, bytes, touch)?;
        }
        Ok(())
    }

    /// Reports a thread's global access to the sanitizer.
    pub(super) fn watch_lane(
        &mut self,
        at: u64,
        (index, offset): (usize, u64),
        lane: usize,
        bytes: u64,
        touch: Touch,
    ) -> Result<(), Trouble> {
        if let Some(allocation) = self.memory.allocation(index)
            && allocation.is_watched()
        {
            let checks = touch.reads && self.sanitizer.is_some();
            if checks && !allocation.is_written(offset, bytes as usize) {
                let detail = format!(
                    "{bytes} bytes at {at:#x} of global memory, byte {offset} of an allocation of \
                     {} bytes, were never written",
                    allocation.bytes
                );
                return Err(trouble(FaultKind::UninitialisedGlobal, lane, detail));
            }
            if touch.writes {
                allocation.mark(offset, bytes as usize);
            }
        }
        self.touch(true, at, lane, bytes as usize, touch)
    }

    /// Reports a thread's shared access, effective now, to the sanitizer.
    pub(super) fn watch_shared(
        &mut self,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
    ) -> Result<(), Trouble> {
        // A copy on its way is the better explanation of bytes that are not there.
        self.touch_shared(at, lane, bytes, touch)?;
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let range = at as usize..at as usize + bytes;
        if touch.reads && !sanitizer.written[range.clone()].iter().all(|&written| written) {
            let detail = format!(
                "{bytes} bytes at byte {at} were not written by this block, or not yet: a barrier may be missing"
            );
            let problem = trouble(FaultKind::UninitialisedShared, lane, detail);
            if !self.goes_on {
                return Err(problem);
            }
            let (warp, pc) = (self.warp, self.pc);
            let read = Unwritten { problem: *problem, warp, pc };
            self.unwritten.get_or_insert_with(|| Box::new(read));
        }
        if touch.writes {
            sanitizer.written[range].fill(true);
        }
        Ok(())
    }

    /// The race check of a shared access alone.
    pub(super) fn touch_shared(
        &mut self,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
    ) -> Result<(), Trouble> {
        self.touch(false, at, lane, bytes, touch)
    }

    fn touch(
        &mut self,
        global: bool,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
    ) -> Result<(), Trouble> {
        let actor = self.actor(lane);
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        sanitizer.touch(global, &actor, at, bytes, touch).map_err(|conflict| {
            if !global {
                self.explain_unwritten(at, bytes, lane, &conflict);
            }
            self.race(global, at, bytes, touch, lane, conflict)
        })
    }

    /// A race is the better explanation of bytes that were not there: of that read, if it has part in it.
    fn explain_unwritten(&mut self, at: u64, bytes: usize, lane: usize, conflict: &Conflict) {
        let place = self.show_place(self.pc);
        let thread = usize::from(self.warp) * LANES + lane;
        self.unwritten.take_if(|read| read.pc != conflict.pc);
        if let Some(read) = &mut self.unwritten {
            read.warp = (conflict.thread as usize / LANES) as u16;
            let detail = format!(
                "reads {bytes} bytes at {at:#x} of shared memory that thread {thread} writes only later at \
                 {place}, with no barrier between"
            );
            let lane = conflict.thread as usize % LANES;
            read.problem = Problem { kind: FaultKind::Race, lane, detail };
        }
    }

    /// Reports a thread's access to its local memory, `count` elements, to the sanitizer.
    pub(super) fn watch_local(
        &self,
        warp: &mut Warp,
        at: u64,
        lane: usize,
        bytes: usize,
        count: usize,
        writes: bool,
    ) -> Result<(), Trouble> {
        if self.sanitizer.is_none() {
            return Ok(());
        }
        let kernel = self.kernel;
        let (first, last) = (at as u32, at as u32 + (bytes * count) as u32);
        let inside = |&(start, end): &(u32, u32)| start <= first && last <= end;
        let hint = kernel.hints[self.pc as usize];
        if !kernel.locals.iter().any(inside) || !hint.object.iter().all(inside) {
            let whole = hint
                .object
                .or_else(|| kernel.locals.iter().copied().rfind(|&(start, _)| start <= first));
            let (start, end) = whole.unwrap_or_default();
            let detail = format!(
                "{} bytes at byte {} of a local variable of {} bytes",
                bytes * count,
                i64::from(first) - i64::from(start),
                end - start
            );
            return Err(trouble(FaultKind::OutOfBounds, lane, detail));
        }
        let start = lane * kernel.local_bytes + at as usize;
        if writes {
            warp.local_written[start..start + bytes * count].fill(true);
            return Ok(());
        }
        for (k, count) in self.used(count) {
            let part = &warp.local_written[start + k * bytes..][..count * bytes];
            if !part.iter().all(|&written| written) {
                let detail = format!(
                    "{} bytes at byte {} of local memory were never written",
                    count * bytes,
                    at as usize + k * bytes
                );
                return Err(trouble(FaultKind::UninitialisedLocal, lane, detail));
            }
        }
        Ok(())
    }

    /// An instruction's place in words: the PTX's line and the source's.
    pub fn show_place(&self, pc: u32) -> String {
        let Place { line, file, source_line } = self.kernel.places[pc as usize];
        let source = match source_line {
            0 => String::new(),
            line => format!(" ({}:{line})", self.module.source(file)),
        };
        format!("{}:{line}{source}", self.module.name())
    }

    fn race(
        &self,
        global: bool,
        at: u64,
        bytes: usize,
        touch: Touch,
        lane: usize,
        conflict: Conflict,
    ) -> Trouble {
        let kind = match conflict.block == self.block {
            true => FaultKind::Race,
            false => FaultKind::RaceBetweenBlocks,
        };
        let verb = match (touch.reads, touch.writes) {
            (true, true) => "changes",
            (false, true) => "writes",
            _ => "reads",
        };
        let space = if global { "global" } else { "shared" };
        let whose = match kind {
            FaultKind::RaceBetweenBlocks => format!("block {} (in order), ", conflict.block),
            _ => String::new(),
        };
        let other = match (conflict.kind, conflict.wrote) {
            (Kind::Copy, true) => "is still copying to",
            (Kind::Copy, false) => "is still copying from",
            (Kind::ReadOnly, _) => "reads through the read-only cache",
            (_, true) => "wrote",
            (_, false) => "read",
        };
        let end = match (conflict.kind, touch.kind) {
            (Kind::Copy, _) => "cp.async was not waited for",
            (Kind::ReadOnly, _) | (_, Kind::ReadOnly) => {
                "ld.global.nc may not read what the kernel writes"
            }
            _ => "with no barrier between",
        };
        let detail = format!(
            "{verb} {bytes} bytes at {at:#x} of {space} memory that {whose}thread {} {other} at \
             {}, {end}",
            conflict.thread,
            self.show_place(conflict.pc)
        );
        trouble(kind, lane, detail)
    }
}
