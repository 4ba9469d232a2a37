//! Global memory: finds the allocation, checks, loads and stores.

use super::env::{Env, Trouble, trouble};
use super::memory::{Access, cut, extend, get, set};
use super::offsets::Offsets;
use crate::error::FaultKind;
use crate::memory::Allocation;
use crate::ops::{Address, Instruction};
use crate::warp::{LANES, Longs, Warp, lanes};

impl Env<'_> {
    /// The allocation that contains all lanes' bytes, and the lanes' offsets there; `None` if there
    /// is none or an address is misaligned.
    #[inline(always)]
    pub(super) fn one_allocation(
        &mut self,
        warp: &Warp,
        i: &Instruction,
        address: Address,
        active: u32,
        total: u64,
    ) -> Option<(&Allocation, Offsets)> {
        let memory = self.memory;
        let first = warp.address(i, address, active.trailing_zeros() as usize % LANES);
        let last = &mut self.last_used[self.pc as usize];
        let is_inside =
            |allocation: &&Allocation| first.wrapping_sub(allocation.start) < allocation.bytes;
        let allocation = match memory.allocation(*last as usize).filter(is_inside) {
            Some(allocation) => allocation,
            None => {
                let index = memory.find(first)?;
                *last = index as u32;
                memory.allocation(index)?
            }
        };
        let range = (allocation.start, allocation.bytes);
        Some((allocation, warp.offsets(i, address, active, range, total)?))
    }

    /// The first invalid global access: lane and reason.
    fn global_trouble(&self, at: &Longs, active: u32, total: u64, align: u64) -> Option<Trouble> {
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
            if !address.is_multiple_of(align) {
                let detail = format!("{total} bytes at {address:#x} of global memory");
                return Some(trouble(FaultKind::Misaligned, lane, detail));
            }
        }
        None
    }

    /// Each lane's allocation (its index) and offset there, of accesses that are aligned to their size.
    pub(super) fn each_global(
        &mut self,
        at: &Longs,
        active: u32,
        total: u64,
    ) -> Result<[(usize, u64); LANES], Trouble> {
        self.each_aligned(at, active, total, total)
    }

    /// The same of those with another alignment.
    pub(super) fn each_aligned(
        &mut self,
        at: &Longs,
        active: u32,
        total: u64,
        align: u64,
    ) -> Result<[(usize, u64); LANES], Trouble> {
        let memory = self.memory;
        let mut places = [(0, 0); LANES];
        let last = self.last_used[self.pc as usize] as usize;
        if let Some(allocation) = memory.allocation(last) {
            let is_right = |lane: usize| {
                let offset = at[lane].wrapping_sub(allocation.start);
                offset < allocation.bytes
                    && total <= allocation.bytes - offset
                    && offset.is_multiple_of(align)
            };
            if lanes(active).all(is_right) {
                lanes(active).for_each(|lane| places[lane] = (last, at[lane] - allocation.start));
                return Ok(places);
            }
        }
        if let Some(found) = self.global_trouble(at, active, total, align) {
            return Err(found);
        }
        for lane in lanes(active) {
            let index = memory.find(at[lane]).unwrap_or_default();
            self.last_used[self.pc as usize] = index as u32;
            let start = memory.allocation(index).map_or(0, |allocation| allocation.start);
            places[lane] = (index, at[lane] - start);
        }
        Ok(places)
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
        self.profile_global(at, active, total);
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
