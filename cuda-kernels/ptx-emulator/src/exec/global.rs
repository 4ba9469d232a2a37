//! Global memory: finds the allocation, checks, loads and stores.

use super::env::{Env, Trouble, trouble};
use super::memory::{Access, cut, extend, get, set};
use crate::error::FaultKind;
use crate::ops::{Address, Instruction};
use crate::warp::{FULL, LANES, Longs, Warp, lanes};

impl Env<'_> {
    /// The allocation that contains all lanes' bytes, its index and the lanes' offsets; `None` if
    /// there is none or an address is misaligned.
    #[inline(always)]
    fn one_allocation(&mut self, at: &Longs, active: u32, total: u64) -> Option<(usize, Longs)> {
        let first = at[active.trailing_zeros() as usize & 31];
        let inside = |index: usize| {
            let allocation = self.memory.allocation(index)?;
            (first.wrapping_sub(allocation.start) < allocation.bytes).then_some(index)
        };
        let index = inside(self.hint).or_else(|| self.memory.find(first))?;
        self.hint = index;
        let allocation = self.memory.allocation(index)?;
        let limit = allocation.bytes.checked_sub(total)?;
        let (mut offsets, mut bad) = ([0; LANES], 0u64);
        for lane in 0..LANES {
            let offset = at[lane].wrapping_sub(allocation.start);
            let skip = u64::from(active >> lane & 1 == 0);
            let offset = if skip == 1 { 0 } else { offset };
            bad |= u64::from(offset > limit) | (offset & (total - 1));
            offsets[lane] = offset;
        }
        (bad == 0).then_some((index, offsets))
    }

    /// The first invalid global access: lane and reason.
    fn global_trouble(&self, at: &Longs, active: u32, total: u64) -> Option<Trouble> {
        for lane in lanes(active) {
            let address = at[lane];
            let found = self.memory.find(address).and_then(|index| self.memory.allocation(index));
            let fits = found
                .is_some_and(|allocation| address - allocation.start + total <= allocation.bytes);
            if !fits {
                let near = match self.memory.nearest(address) {
                    Some((start, bytes)) if address >= start => {
                        format!("byte {} of an allocation of {bytes} bytes", address - start)
                    }
                    _ => "no allocation is near".to_owned(),
                };
                let detail = format!("{total} bytes at {address:#x} of global memory: {near}");
                return Some(trouble(FaultKind::OutOfBounds, lane, detail));
            }
            if !address.is_multiple_of(total) {
                let detail = format!("{total} bytes at {address:#x} of global memory");
                return Some(trouble(FaultKind::Misaligned, lane, detail));
            }
        }
        None
    }

    /// Each lane's allocation (its index) and offset there.
    pub(super) fn each_global(
        &mut self,
        at: &Longs,
        active: u32,
        total: u64,
    ) -> Result<[(usize, u64); LANES], Trouble> {
        if let Some(found) = self.global_trouble(at, active, total) {
            return Err(found);
        }
        let mut places = [(0, 0); LANES];
        for lane in lanes(active) {
            let index = self.memory.find(at[lane]).unwrap_or_default();
            let start = self.memory.allocation(index).map_or(0, |allocation| allocation.start);
            places[lane] = (index, at[lane] - start);
        }
        Ok(places)
    }

    /// See [`Env::load_words`].
    #[inline(always)]
    pub(super) fn load_global_words(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        address: Address,
        active: u32,
    ) -> bool {
        let registers = &self.kernel.lists[i.outs.range()];
        let at = warp.addresses(i, address);
        let found = self.one_allocation(&at, active, 4 * registers.len() as u64);
        let Some((index, offsets)) = found else { return false };
        let Some(allocation) = self.memory.allocation(index) else { return false };
        for (k, &register) in registers.iter().enumerate() {
            // Lanes that are off read the first word.
            let row = offsets.map(|offset| allocation.word(offset / 4 + k as u64));
            warp.set_words(register, active, row);
        }
        true
    }

    pub(super) fn load_global(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let outs = i.outs;
        let total = access.bytes as u64 * u64::from(outs.len);
        let places = self.each_global(at, active, total)?;
        if self.watches() {
            self.profile_global(at, active, total);
            let touch = self.load_touch(access.semantics);
            for (first, count) in self.used(outs.len.into()) {
                let (shift, part) = ((first * access.bytes) as u64, (count * access.bytes) as u64);
                let at = at.map(|at| at.wrapping_add(shift));
                let places = places.map(|(index, offset)| (index, offset + shift));
                self.watch_global(&at, &places, active, part, touch)?;
            }
        }
        let kernel = self.kernel;
        let registers = &kernel.lists[outs.range()];
        for (k, &register) in registers.iter().enumerate() {
            for lane in lanes(active) {
                let (index, offset) = places[lane];
                let Some(allocation) = self.memory.allocation(index) else { continue };
                let value = allocation.load(offset + (k * access.bytes) as u64, access.bytes);
                set(warp, register, lane, extend(value, access.bytes, access.signed), access.wide);
            }
        }
        Ok(())
    }

    pub(super) fn store_global(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let ins = i.ins;
        let total = access.bytes as u64 * u64::from(ins.len);
        let kernel = self.kernel;
        let registers = &kernel.lists[ins.range()];
        let watches = self.watches();
        if watches {
            self.profile_global(at, active, total);
        }
        if !watches
            && access.bytes == 4
            && !access.wide
            && let Some((index, offsets)) = self.one_allocation(at, active, total)
            && let Some(allocation) = self.memory.allocation(index)
        {
            for (k, &register) in registers.iter().enumerate() {
                let row = &warp.words[register as usize];
                if active == FULL {
                    for (row, offset) in row.iter().zip(offsets) {
                        allocation.set_word(offset / 4 + k as u64, *row);
                    }
                } else {
                    for lane in lanes(active) {
                        allocation.set_word(offsets[lane] / 4 + k as u64, row[lane]);
                    }
                }
            }
            return Ok(());
        }
        let places = self.each_global(at, active, total)?;
        for lane in lanes(active) {
            let (index, offset) = places[lane];
            let memory = self.memory;
            let Some(allocation) = memory.allocation(index) else { continue };
            if self.sanitizer.is_some() {
                let same = registers.iter().enumerate().all(|(k, &register)| {
                    let at = offset + (k * access.bytes) as u64;
                    let value = get(warp, register, lane, access.wide);
                    allocation.load(at, access.bytes) == cut(value, access.bytes)
                });
                let touch = self.store_touch(access.semantics, lane, same);
                self.watch_lane(at[lane], (index, offset), lane, total, touch)?;
            } else {
                allocation.mark(offset, total as usize);
            }
            for (k, &register) in registers.iter().enumerate() {
                let value = get(warp, register, lane, access.wide);
                allocation.store(
                    offset + (k * access.bytes) as u64,
                    access.bytes,
                    cut(value, access.bytes),
                );
            }
        }
        Ok(())
    }
}
