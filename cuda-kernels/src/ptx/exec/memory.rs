//! Loads, stores, atomics and asynchronous copies.

use super::{Env, Trouble, trouble};
use crate::ptx::decode::{LOCAL_BASE, PARAM_BASE, SHARED_BASE, WINDOW};
use crate::ptx::error::FaultKind;
use crate::ptx::numeric::{BF16, F16, Format};
use crate::ptx::ops::{Address, Atomic, Instruction, Round};
use crate::ptx::sanitizer::Touch;
use crate::ptx::types::{Space, Ty};
use crate::ptx::warp::{Copy, FULL, LANES, Longs, Warp, lanes};

/// A load or store as its instruction says it.
#[derive(Clone, Copy)]
pub struct Access {
    /// Where.
    pub space: Space,
    /// Bytes of one element.
    pub bytes: usize,
    /// Is a narrow element extended with its sign?
    pub signed: bool,
    /// Are the registers 64 bits wide?
    pub wide: bool,
    /// How the address is given.
    pub address: Address,
    /// Is it a plain access, which races?
    pub weak: bool,
}

impl Warp {
    /// The lanes' addresses.
    #[inline(always)]
    pub fn addresses(&self, i: &Instruction, address: Address) -> Longs {
        let mut row = [i.imm as i64 as u64; LANES];
        match address {
            Address::Fixed => {}
            Address::Long => {
                for (row, base) in row.iter_mut().zip(&self.longs[i.a as usize]) {
                    *row = row.wrapping_add(*base);
                }
            }
            Address::Word => {
                for (row, base) in row.iter_mut().zip(&self.words[i.a as usize]) {
                    *row = u64::from(base.wrapping_add(i.imm as u32));
                }
            }
        }
        row
    }
}

/// The window that a generic address falls into, and its offset there.
fn place_of(at: u64) -> (Space, u64) {
    match at {
        SHARED_BASE.. if at < SHARED_BASE + WINDOW => (Space::Shared, at - SHARED_BASE),
        LOCAL_BASE.. if at < LOCAL_BASE + WINDOW => (Space::Local, at - LOCAL_BASE),
        PARAM_BASE.. if at < PARAM_BASE + WINDOW => (Space::Param, at - PARAM_BASE),
        _ => (Space::Global, at),
    }
}

/// Lanes of a generic access that mean the same space as the first lane, and their offsets.
pub fn same_space(at: &Longs, active: u32) -> (Space, u32, Longs) {
    let (space, _) = place_of(at[active.trailing_zeros() as usize & 31]);
    let (mut mask, mut row) = (0, *at);
    for lane in lanes(active) {
        let (its, offset) = place_of(at[lane]);
        if its == space {
            mask |= 1 << lane;
            row[lane] = offset;
        }
    }
    (space, mask, row)
}

/// Sign extension of a narrow element, to 64 bits.
fn extend(value: u64, bytes: usize, signed: bool) -> u64 {
    let unused = 64 - 8 * bytes as u32;
    if signed { ((value << unused) as i64 >> unused) as u64 } else { value }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

impl Env<'_> {
    /// `outs = [address]`.
    pub fn load(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
    ) -> Result<(), Trouble> {
        let at = warp.addresses(i, access.address);
        let mut rest = active;
        while rest != 0 {
            let (space, mask, at) = match access.space {
                Space::Generic => same_space(&at, rest),
                Space::Const => (Space::Global, rest, at),
                Space::Param if at[rest.trailing_zeros() as usize] >= LOCAL_BASE => {
                    same_space(&at, rest)
                }
                space => (space, rest, at),
            };
            let access = Access { space, ..access };
            match space {
                Space::Global => self.load_global(warp, i, access, mask, &at)?,
                Space::Shared => self.load_shared(warp, i, access, mask, &at)?,
                Space::Param => self.load_param(warp, i, access, mask, &at)?,
                _ => self.load_local(warp, i, access, mask, &at)?,
            }
            rest &= !mask;
        }
        Ok(())
    }

    /// `[address] = ins`.
    pub fn store(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
    ) -> Result<(), Trouble> {
        let at = warp.addresses(i, access.address);
        let mut rest = active;
        while rest != 0 {
            let (space, mask, at) = match access.space {
                Space::Generic => same_space(&at, rest),
                space => (space, rest, at),
            };
            match space {
                Space::Global => self.store_global(warp, i, access, mask, &at)?,
                Space::Shared => self.store_shared(warp, i, access, mask, &at)?,
                Space::Local => self.store_local(warp, i, access, mask, &at)?,
                _ => {
                    let lane = mask.trailing_zeros() as usize;
                    return Err(trouble(
                        FaultKind::OutOfBounds,
                        lane,
                        "a store to a kernel's parameter",
                    ));
                }
            }
            rest &= !mask;
        }
        Ok(())
    }

    /// The allocation that all lanes' bytes lie in, its index and the lanes' offsets; if there is
    /// none or an address is not aligned, nothing.
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

    /// Which lane's access to global memory is wrong, and how.
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
    fn each_global(
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

    fn load_global(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let outs = i.outs;
        let total = access.bytes as u64 * u64::from(outs.len);
        let found = self.one_allocation(at, active, total);
        let touch = if access.weak { Touch::Read } else { Touch::AtomicRead };
        let places = match &found {
            Some((index, offsets)) => offsets.map(|offset| (*index, offset)),
            None => self.each_global(at, active, total)?,
        };
        if self.watches() {
            self.profile_global(at, active, total);
            self.watch_global(warp, at, &places, active, total, touch)?;
        }
        let kernel = self.kernel;
        let registers = &kernel.lists[outs.range()];
        if access.bytes == 4
            && !access.wide
            && let Some((index, offsets)) = &found
            && let Some(allocation) = self.memory.allocation(*index)
        {
            for (k, &register) in registers.iter().enumerate() {
                let row = &mut warp.words[register as usize];
                if active == FULL {
                    for (row, offset) in row.iter_mut().zip(offsets) {
                        *row = allocation.word(offset / 4 + k as u64);
                    }
                } else {
                    for lane in lanes(active) {
                        row[lane] = allocation.word(offsets[lane] / 4 + k as u64);
                    }
                }
            }
            return Ok(());
        }
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

    fn store_global(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
        at: &Longs,
    ) -> Result<(), Trouble> {
        let ins = i.ins;
        let total = access.bytes as u64 * u64::from(ins.len);
        let found = self.one_allocation(at, active, total);
        let touch = if access.weak { Touch::Write } else { Touch::AtomicWrite };
        let places = match &found {
            Some((index, offsets)) => offsets.map(|offset| (*index, offset)),
            None => self.each_global(at, active, total)?,
        };
        let kernel = self.kernel;
        let registers = &kernel.lists[ins.range()];
        let watches = self.watches();
        if watches {
            self.profile_global(at, active, total);
        }
        if !watches
            && access.bytes == 4
            && !access.wide
            && let Some((index, offsets)) = &found
            && let Some(allocation) = self.memory.allocation(*index)
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
                self.watch_lane(warp, at[lane], (index, offset), lane, total, touch, same)?;
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

    /// Checks that the lanes' bytes lie in shared memory.
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
            return Ok(());
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

    fn load_shared(
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
            let touch = if access.weak { Touch::Read } else { Touch::AtomicRead };
            for lane in lanes(active) {
                self.watch_shared(warp, at[lane], lane, total, touch, false)?;
            }
            self.profile_shared(at, active, total);
        }
        let shared = &self.shared[..];
        if access.bytes == 4 && !access.wide {
            for (k, &register) in registers.iter().enumerate() {
                let row = &mut warp.words[register as usize];
                let read = |at: u64| {
                    let at = at as usize + 4 * k;
                    let bytes = shared[at..at + 4].try_into();
                    u32::from_le_bytes(bytes.unwrap_or_default())
                };
                if active == FULL {
                    for (row, &at) in row.iter_mut().zip(at) {
                        *row = read(at);
                    }
                } else {
                    for lane in lanes(active) {
                        row[lane] = read(at[lane]);
                    }
                }
            }
            return Ok(());
        }
        for (k, &register) in registers.iter().enumerate() {
            for lane in lanes(active) {
                let at = at[lane] as usize + k * access.bytes;
                let value = little_endian(&shared[at..at + access.bytes]);
                set(warp, register, lane, extend(value, access.bytes, access.signed), access.wide);
            }
        }
        Ok(())
    }

    fn store_shared(
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
        if !watches && access.bytes == 4 && !access.wide {
            for (k, &register) in registers.iter().enumerate() {
                let row = &warp.words[register as usize];
                for lane in lanes(active) {
                    let at = at[lane] as usize + 4 * k;
                    self.shared[at..at + 4].copy_from_slice(&row[lane].to_le_bytes());
                }
            }
            return Ok(());
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
                let touch = if access.weak { Touch::Write } else { Touch::AtomicWrite };
                let same = self.shared[start..start + total] == data[..total];
                self.watch_shared(warp, at[lane], lane, total, touch, same)?;
            }
            self.shared[start..start + total].copy_from_slice(&data[..total]);
        }
        Ok(())
    }

    fn load_param(
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
        for lane in lanes(active) {
            check_plain("a kernel's parameters", at[lane], total, self.params.len(), lane)?;
            for (k, &register) in registers.iter().enumerate() {
                let at = at[lane] as usize + k * access.bytes;
                let value = little_endian(&self.params[at..at + access.bytes]);
                set(warp, register, lane, extend(value, access.bytes, access.signed), access.wide);
            }
        }
        Ok(())
    }

    fn load_local(
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
        for lane in lanes(active) {
            check_plain("local memory", at[lane], total, kernel.local_bytes, lane)?;
            let start = lane * kernel.local_bytes + at[lane] as usize;
            for (k, &register) in registers.iter().enumerate() {
                let at = start + k * access.bytes;
                let value = little_endian(&warp.local[at..at + access.bytes]);
                set(warp, register, lane, extend(value, access.bytes, access.signed), access.wide);
            }
        }
        Ok(())
    }

    fn store_local(
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
        for lane in lanes(active) {
            check_plain("local memory", at[lane], total, kernel.local_bytes, lane)?;
            let start = lane * kernel.local_bytes + at[lane] as usize;
            for (k, &register) in registers.iter().enumerate() {
                let value = get(warp, register, lane, access.wide);
                warp.local[start + k * access.bytes..][..access.bytes]
                    .copy_from_slice(&value.to_le_bytes()[..access.bytes]);
            }
        }
        Ok(())
    }

    /// Atomics, lane by lane in order.
    pub fn atomic(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        (op, ty): (Atomic, Ty),
        (space, address): (Space, Address),
        active: u32,
    ) -> Result<(), Trouble> {
        let bytes = ty.bytes();
        let wide = bytes == 8;
        let at = warp.addresses(i, address);
        let mut rest = active;
        while rest != 0 {
            let (space, mask, at) = match space {
                Space::Generic => same_space(&at, rest),
                space => (space, rest, at),
            };
            rest &= !mask;
            match space {
                Space::Global => {
                    let places = self.each_global(&at, mask, bytes as u64)?;
                    if self.watches() {
                        self.profile_global(&at, mask, bytes as u64);
                        self.watch_global(warp, &at, &places, mask, bytes as u64, Touch::Atomic)?;
                    }
                    for lane in lanes(mask) {
                        let (index, offset) = places[lane];
                        let Some(allocation) = self.memory.allocation(index) else { continue };
                        let (b, c) = (get(warp, i.b, lane, wide), get(warp, i.c, lane, wide));
                        let old = allocation.update(offset, bytes, |old| change(op, ty, old, b, c));
                        set(warp, i.d, lane, old, wide);
                    }
                }
                Space::Shared => {
                    self.check_shared(&at, mask, bytes as u64)?;
                    if self.watches_shared() {
                        self.profile_shared(&at, mask, bytes);
                    }
                    for lane in lanes(mask) {
                        if self.watches_shared() {
                            self.watch_shared(warp, at[lane], lane, bytes, Touch::Atomic, false)?;
                        }
                        let (b, c) = (get(warp, i.b, lane, wide), get(warp, i.c, lane, wide));
                        let cell = &mut self.shared[at[lane] as usize..][..bytes];
                        let old = little_endian(cell);
                        let new = change(op, ty, old, b, c);
                        cell.copy_from_slice(&new.to_le_bytes()[..bytes]);
                        set(warp, i.d, lane, old, wide);
                    }
                }
                _ => {
                    let lane = mask.trailing_zeros() as usize;
                    return Err(trouble(FaultKind::OutOfBounds, lane, "an atomic on local memory"));
                }
            }
        }
        Ok(())
    }

    /// Starts copies from global to shared memory; they arrive when they are waited for.
    pub fn copy_async(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        bytes: u8,
        address: Address,
        active: u32,
    ) -> Result<(), Trouble> {
        let to = warp.addresses(i, address);
        let kernel = self.kernel;
        let offset =
            warp.words[kernel.lists[i.ins.start as usize] as usize][0] as i32 as i64 as u64;
        let from = warp.longs[i.b as usize].map(|from| from.wrapping_add(offset));
        let total = u64::from(bytes);
        self.check_shared(&to, active, total)?;
        // A copy of no source bytes does not look at its source.
        let sizes = warp.words[i.c as usize];
        let reads =
            lanes(active).filter(|&lane| sizes[lane] > 0).fold(0, |all, lane| all | 1 << lane);
        let places = self.each_global(&from, reads, total)?;
        if self.watches() && reads != 0 {
            self.profile_global(&from, reads, total);
            self.watch_global(warp, &from, &places, reads, total, Touch::Read)?;
        }
        for lane in lanes(active) {
            let mut data = [0; 16];
            if let Some(allocation) = self.memory.allocation(places[lane].0)
                && reads >> lane & 1 == 1
            {
                let count = (sizes[lane] as usize).min(bytes.into());
                for (at, byte) in data[..count].iter_mut().enumerate() {
                    *byte = allocation.load(places[lane].1 + at as u64, 1) as u8;
                }
            }
            if self.watches_shared() {
                self.touch_shared(warp, to[lane], lane, bytes.into(), Touch::Write, false)?;
            }
            let copy = Copy { to: to[lane] as u32, data, bytes, lane: lane as u8 };
            if let Some(group) = warp.copies.back_mut() {
                group.push(copy);
            }
        }
        Ok(())
    }

    /// Lets copies arrive until at most so many groups are under way; all for a negative number.
    pub fn copy_wait(&mut self, warp: &mut Warp, groups: i32) {
        // The last group is open: it counts only where all copies are waited for.
        let keep = if groups < 0 { 0 } else { groups as usize + 1 };
        while warp.copies.len() > keep {
            for copy in warp.copies.pop_front().into_iter().flatten() {
                let bytes = copy.bytes as usize;
                let range = copy.to as usize..copy.to as usize + bytes;
                self.shared[range.clone()].copy_from_slice(&copy.data[..bytes]);
                if let Some(sanitizer) = &mut self.sanitizer {
                    sanitizer.written[range].fill(true);
                }
            }
        }
        if warp.copies.is_empty() {
            warp.copies.push_back(Vec::new());
        }
    }
}

fn check_plain(what: &str, at: u64, total: usize, size: usize, lane: usize) -> Result<(), Trouble> {
    if at.saturating_add(total as u64) > size as u64 {
        let detail = format!("{total} bytes at byte {} of {size} bytes of {what}", at as i64);
        return Err(trouble(FaultKind::OutOfBounds, lane, detail));
    }
    if !at.is_multiple_of(total as u64) {
        let detail = format!("{total} bytes at byte {at} of {what}");
        return Err(trouble(FaultKind::Misaligned, lane, detail));
    }
    Ok(())
}

fn get(warp: &Warp, register: u16, lane: usize, wide: bool) -> u64 {
    match wide {
        true => warp.longs[register as usize][lane],
        false => warp.words[register as usize][lane].into(),
    }
}

fn set(warp: &mut Warp, register: u16, lane: usize, value: u64, wide: bool) {
    match wide {
        true => warp.longs[register as usize][lane] = value,
        false => warp.words[register as usize][lane] = value as u32,
    }
}

/// The low bytes of a value.
fn cut(value: u64, bytes: usize) -> u64 {
    if bytes == 8 { value } else { value & ((1 << (8 * bytes)) - 1) }
}

/// What an atomic makes of the old value.
fn change(op: Atomic, ty: Ty, old: u64, b: u64, c: u64) -> u64 {
    let half = |format: Format, old: u64, b: u64| {
        let sum = format.to_f64(old & 0xffff) + format.to_f64(b & 0xffff);
        format.round_f64(sum, Round::Nearest)
    };
    match (op, ty) {
        (Atomic::Add, Ty::F32) => {
            let sum = f32::from_bits(old as u32) + f32::from_bits(b as u32);
            crate::ptx::numeric::bits32(sum).into()
        }
        (Atomic::Add, Ty::F64) => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        (Atomic::Add, Ty::F16) => half(F16, old, b),
        (Atomic::Add, Ty::Bf16) => half(BF16, old, b),
        (Atomic::Add, Ty::F16x2) => half(F16, old, b) | half(F16, old >> 16, b >> 16) << 16,
        (Atomic::Add, Ty::Bf16x2) => half(BF16, old, b) | half(BF16, old >> 16, b >> 16) << 16,
        (Atomic::Add, _) => old.wrapping_add(b),
        (Atomic::Min, Ty::S32) => (old as i32).min(b as i32) as u32 as u64,
        (Atomic::Max, Ty::S32) => (old as i32).max(b as i32) as u32 as u64,
        (Atomic::Min, Ty::S64) => (old as i64).min(b as i64) as u64,
        (Atomic::Max, Ty::S64) => (old as i64).max(b as i64) as u64,
        (Atomic::Min, _) => old.min(b),
        (Atomic::Max, _) => old.max(b),
        (Atomic::And, _) => old & b,
        (Atomic::Or, _) => old | b,
        (Atomic::Xor, _) => old ^ b,
        (Atomic::Exch, _) => b,
        (Atomic::Cas, _) => {
            if old == b {
                c
            } else {
                old
            }
        }
        (Atomic::Inc, _) => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        (Atomic::Dec, _) => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
    }
}
