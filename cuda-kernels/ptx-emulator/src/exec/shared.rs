//! Shared memory: loads, stores and asynchronous copies.

use super::env::{Env, Trouble, trouble};
use super::memory::{Access, get, set};
use crate::error::FaultKind;
use crate::ops::{Address, Instruction};
use crate::sanitizer::{Kind, Touch};
use crate::warp::{Copy, LANES, Longs, Warp, lanes};

impl Env<'_> {
    /// Checks that the lanes' bytes are in shared memory.
    #[inline(always)]
    pub(super) fn check_shared(&self, at: &Longs, active: u32, total: u64) -> Result<(), Trouble> {
        let size = self.shared.len() as u64;
        let mut bad = 0u64;
        for lane in 0..LANES {
            let off = u64::from(active >> lane & 1 == 0);
            let at = if off == 1 { 0 } else { at[lane] };
            bad |= u64::from(at.saturating_add(total) > size) & (1 - off);
            bad |= at & (total - 1);
        }
        if bad == 0 {
            return match &self.sanitizer {
                Some(_) => self.check_variable(at, active, total),
                None => Ok(()),
            };
        }
        for lane in lanes(active) {
            let at = at[lane];
            if at.saturating_add(total) > size {
                let detail = format!("{total} bytes at byte {at} of {size} bytes of shared memory");
                return Err(trouble(FaultKind::OutOfBounds, lane, detail));
            }
            if !at.is_multiple_of(total) {
                let detail = format!("{total} bytes at byte {at} of shared memory");
                return Err(trouble(FaultKind::Misaligned, lane, detail));
            }
        }
        Ok(())
    }

    /// Checks that the lanes' bytes are in the variable that their address comes from.
    fn check_variable(&self, at: &Longs, active: u32, total: u64) -> Result<(), Trouble> {
        let Some((start, end)) = self.kernel.hints[self.pc as usize].object else { return Ok(()) };
        let (start, end) = (u64::from(start), u64::from(end).min(self.shared.len() as u64));
        let outside = |&lane: &usize| at[lane] < start || at[lane] + total > end;
        let Some(lane) = lanes(active).find(outside) else { return Ok(()) };
        let detail = format!(
            "{total} bytes at byte {} of a shared variable of {} bytes",
            at[lane] as i64 - start as i64,
            end.saturating_sub(start)
        );
        Err(trouble(FaultKind::OutOfBounds, lane, detail))
    }

    pub(super) fn load_shared(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let kernel = self.kernel;
        let registers = &kernel.lists[i.outs.range()];
        let total = access.bytes * registers.len();
        self.check_shared(at, active, total as u64)?;
        if self.watches_shared() {
            let touch = self.load_touch(access.semantics);
            for (first, count) in self.used(registers.len()) {
                for lane in lanes(active) {
                    let at = at[lane] + (first * access.bytes) as u64;
                    self.watch_shared(at, lane, count * access.bytes, touch)?;
                }
            }
            self.profile_shared(at, active, total);
        }
        let shared = &self.shared[..];
        for (k, &register) in registers.iter().enumerate() {
            for lane in lanes(active) {
                let value = access.value(&shared[at[lane] as usize + k * access.bytes..]);
                set(warp, register, lane, value, access.wide);
            }
        }
        Ok(())
    }

    pub(super) fn store_shared(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let kernel = self.kernel;
        let registers = &kernel.lists[i.ins.range()];
        let total = access.bytes * registers.len();
        self.check_shared(at, active, total as u64)?;
        let watches = self.watches_shared();
        if watches {
            self.profile_shared(at, active, total);
        }
        for lane in lanes(active) {
            let start = at[lane] as usize;
            let mut data = [0; 16];
            for (k, &register) in registers.iter().enumerate() {
                let value = get(warp, register, lane, access.wide);
                data[k * access.bytes..][..access.bytes]
                    .copy_from_slice(&value.to_le_bytes()[..access.bytes]);
            }
            if watches {
                let same = self.shared[start..start + total] == data[..total];
                let touch = self.store_touch(access.semantics, lane, same);
                self.watch_shared(at[lane], lane, total, touch)?;
            }
            self.shared[start..start + total].copy_from_slice(&data[..total]);
        }
        Ok(())
    }

    /// Starts copies from global to shared memory; they complete when waited for.
    pub fn copy_async(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        bytes: u8,
        address: Address,
        active: u32,
    ) -> Result<(), Trouble> {
        let to = warp.addresses(i, address);
        let total = u64::from(bytes);
        self.check_shared(&to, active, total)?;
        let (from, reads) = warp.copy_source(&self.kernel.lists, i, active);
        let sizes = warp.words[i.c as usize].map(|size| size.min(bytes.into()) as u8);
        if self.profile.is_some() && reads != 0 {
            self.profile_global(&from, reads, total);
        }
        // Lanes that read as many bytes, together.
        let (mut places, mut rest) = ([(0, 0); LANES], reads);
        while rest != 0 {
            let read = sizes[rest.trailing_zeros() as usize];
            let alike = lanes(rest).filter(|&lane| sizes[lane] == read);
            let mask = alike.fold(0, |mask, lane| mask | 1 << lane);
            let found = self.each_aligned(&from, mask, read.into(), total)?;
            lanes(mask).for_each(|lane| places[lane] = found[lane]);
            if self.checks() {
                let touch = Touch { kind: Kind::Copy, ..Touch::READ };
                self.watch_global(&from, &places, mask, read.into(), touch)?;
            }
            rest &= !mask;
        }
        for lane in lanes(active) {
            let (mut data, read) = ([0; 16], sizes[lane]);
            if let Some(allocation) = self.memory.allocation(places[lane].0).filter(|_| read > 0) {
                for (at, byte) in (places[lane].1..).zip(&mut data[..read.into()]) {
                    *byte = allocation.load(at, 1) as u8;
                }
            }
            let touch = Touch { kind: Kind::Copy, ..Touch::WRITE };
            self.touch_shared(to[lane], lane, bytes.into(), touch)?;
            warp.copies.push(Copy {
                to: to[lane] as u32,
                from: from[lane],
                data,
                bytes,
                read,
                lane: lane as u8,
                group: warp.groups[lane],
            });
        }
        Ok(())
    }

    /// Completes the lanes' copies until at most `groups` of their groups are pending; all for a
    /// negative number.
    pub fn copy_wait(&mut self, warp: &mut Warp, groups: i32, active: u32) {
        // All copies: those of the open group, too, which ends with it.
        if groups < 0 {
            lanes(active).for_each(|lane| warp.groups[lane] += 1);
        }
        let keep = groups.max(0) as u32;
        let open = warp.groups;
        let ended = |copy: &Copy| {
            let lane = copy.lane as usize;
            active >> lane & 1 == 1 && copy.group + keep < open[lane]
        };
        for copy in warp.copies.extract_if(.., |copy| ended(copy)) {
            self.deliver(&copy);
            if let Some(sanitizer) = &mut self.sanitizer {
                sanitizer.land(&copy, self.warp, sanitizer.clocks.now(self.warp));
            }
        }
        if let Some(sanitizer) = &mut self.sanitizer {
            let now = sanitizer.clocks.now(self.warp);
            sanitizer.land_tracked(Some(now), |warp, copy, _| warp == self.warp && ended(copy));
        }
    }

    /// An mbarrier tracks a lane's copies so far: they may come at any time, but only those may rely on
    /// that who wait for it.
    pub(super) fn copy_track(&mut self, warp: &mut Warp, lane: usize, mbarrier: u64) {
        if self.sanitizer.is_none() {
            return self.copy_wait(warp, -1, 1 << lane);
        }
        for copy in warp.copies.extract_if(.., |copy| usize::from(copy.lane) == lane) {
            self.deliver(&copy);
            self.sanitizer.iter_mut().for_each(|s| s.track(copy, self.warp));
        }
        let actor = self.actor(lane);
        self.sanitizer.iter_mut().for_each(|s| s.mark_tracked(&actor, mbarrier));
    }

    /// A copy's bytes come.
    fn deliver(&mut self, copy: &Copy) {
        let bytes = copy.bytes as usize;
        let range = copy.to as usize..copy.to as usize + bytes;
        self.shared[range.clone()].copy_from_slice(&copy.data[..bytes]);
        self.sanitizer.iter_mut().for_each(|s| s.written[range.clone()].fill(true));
    }
}
