//! Loads and stores: address resolution, and a thread's private spaces.

use std::array::from_fn;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::env::{Env, Trouble, trouble};
use super::offsets::Offsets;
use crate::error::FaultKind;
use crate::ops::{Address, Instruction, R, Semantics};
use crate::types::Space;
use crate::warp::{FULL, LANES, Longs, Warp, lanes};
use crate::windows::{LOCAL_BASE, PARAM_BASE, SHARED_BASE, WINDOW};

/// A decoded load or store.
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
    /// Address form.
    pub address: Address,
    /// How it orders memory.
    pub semantics: Semantics,
}

impl Access {
    /// The element that `bytes` begin with, extended to 64 bits.
    pub(super) fn value(self, bytes: &[u8]) -> u64 {
        extend(little_endian(&bytes[..self.bytes]), self.bytes, self.signed)
    }
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

    /// Loads from one memory made of words; false for uncommon widths.
    #[inline(always)]
    fn load_rows<T>(
        &mut self,
        registers: &[R],
        access: Access,
        active: u32,
        offsets: &Offsets,
        words: &[T],
        read: impl Fn(&T) -> u32,
    ) -> bool {
        match (access.bytes, access.wide, registers) {
            (4, false, &[a]) => self.load_words([a], active, offsets, words, read),
            (4, false, &[a, b]) => self.load_words([a, b], active, offsets, words, read),
            (4, false, &[a, b, c, d]) => {
                self.load_words([a, b, c, d], active, offsets, words, read);
            }
            (8, true, &[a]) => {
                let [mut low, mut high] = [[0; LANES]; 2];
                offsets.load(words, read, [&mut low, &mut high]);
                let row = from_fn(|lane| u64::from(low[lane]) | u64::from(high[lane]) << 32);
                self.set_longs(a, active, row);
            }
            (1 | 2, false, &[a]) => {
                let mut row = [0; LANES];
                offsets.load(words, read, [&mut row]);
                let unused = 32 - 8 * access.bytes as u32;
                for (value, offset) in row.iter_mut().zip(offsets.row()) {
                    let top = *value >> (offset % 4 * 8) << unused;
                    *value =
                        if access.signed { (top as i32 >> unused) as u32 } else { top >> unused };
                }
                self.set_words(a, active, row);
            }
            _ => return false,
        }
        true
    }

    #[inline(always)]
    fn load_words<T, const N: usize>(
        &mut self,
        registers: [R; N],
        active: u32,
        offsets: &Offsets,
        words: &[T],
        read: impl Fn(&T) -> u32,
    ) {
        if active == FULL
            && let Some(rows) = self.words.disjoint(registers)
        {
            return offsets.load(words, read, rows);
        }
        let mut rows = [[0; LANES]; N];
        offsets.load(words, read, rows.each_mut());
        registers.into_iter().zip(rows).for_each(|(d, row)| self.set_words(d, active, row));
    }

    /// Stores words to one memory.
    #[inline(always)]
    fn store_rows(
        &self,
        registers: &[R],
        active: u32,
        offsets: &Offsets,
        store: impl FnMut(usize, u32),
    ) -> bool {
        let row = |register: R| &self.words[register as usize];
        match *registers {
            [a] => offsets.store(active, [row(a)], store),
            [a, b] => offsets.store(active, [row(a), row(b)], store),
            [a, b, c, d] => offsets.store(active, [row(a), row(b), row(c), row(d)], store),
            _ => return false,
        }
        true
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
pub(super) fn extend(value: u64, bytes: usize, signed: bool) -> u64 {
    let unused = 64 - 8 * bytes as u32;
    if signed { ((value << unused) as i64 >> unused) as u64 } else { value }
}

pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

impl Env<'_> {
    /// Loads whole rows, where nothing but the addresses is to be checked and all of them are right;
    /// false: it did not.
    pub fn load_rows(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        access: Access,
        active: u32,
    ) -> bool {
        let registers = &self.kernel.lists[i.outs.range()];
        let total = (access.bytes * registers.len()) as u64;
        if self.checks() {
            return false;
        }
        let at = self.profile.is_some().then(|| warp.addresses(i, access.address));
        let done = match access.space {
            Space::Shared => {
                let (words, _) = self.shared.as_chunks::<4>();
                let range = (0, 4 * words.len() as u64);
                let offsets = warp.offsets(i, access.address, active, range, total);
                let read = |word: &[u8; 4]| u32::from_le_bytes(*word);
                offsets.is_some_and(|offsets| {
                    warp.load_rows(registers, access, active, &offsets, words, read)
                })
            }
            Space::Global | Space::Const => {
                let read = |word: &AtomicU32| word.load(Relaxed);
                let found = self.one_allocation(warp, i, access.address, active, total);
                found.is_some_and(|(allocation, offsets)| {
                    warp.load_rows(registers, access, active, &offsets, &allocation.words, read)
                })
            }
            _ => false,
        };
        if done && let Some(at) = at {
            self.profile_rows(access.space, &at, active, total);
        }
        done
    }

    /// Stores whole rows of words, where nothing but the addresses is to be checked and all of them
    /// are right; false: it did not.
    pub fn store_rows(
        &mut self,
        warp: &Warp,
        i: &Instruction,
        access: Access,
        active: u32,
    ) -> bool {
        let registers = &self.kernel.lists[i.ins.range()];
        let total = (access.bytes * registers.len()) as u64;
        if access.bytes != 4 || access.wide || self.checks() {
            return false;
        }
        let done = match access.space {
            Space::Shared => {
                let (words, _) = self.shared.as_chunks_mut::<4>();
                let range = (0, 4 * words.len() as u64);
                let offsets = warp.offsets(i, access.address, active, range, total);
                offsets.is_some_and(|offsets| {
                    let store = |at: usize, value: u32| words[at] = value.to_le_bytes();
                    warp.store_rows(registers, active, &offsets, store)
                })
            }
            Space::Global => {
                let found = self.one_allocation(warp, i, access.address, active, total);
                found.is_some_and(|(allocation, offsets)| {
                    let store = |at: usize, value| allocation.words[at].store(value, Relaxed);
                    warp.store_rows(registers, active, &offsets, store)
                })
            }
            _ => false,
        };
        if done && self.profile.is_some() {
            let at = warp.addresses(i, access.address);
            self.profile_rows(access.space, &at, active, total);
        }
        done
    }

    fn profile_rows(&mut self, space: Space, at: &Longs, active: u32, total: u64) {
        match space {
            Space::Shared => self.profile_shared(at, active, total as usize),
            _ => self.profile_global(at, active, total),
        }
    }

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
                _ => self.load_plain(warp, i, access, mask, &at)?,
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

    /// Parameters, which all lanes share, and local memory, of which each lane has its own.
    fn load_plain(
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
        let (name, bytes, stride) = match access.space {
            Space::Param => ("a kernel's parameters", self.params.len(), 0),
            _ => ("local memory", kernel.local_bytes, kernel.local_bytes),
        };
        for lane in lanes(active) {
            check_plain(name, at[lane], total, bytes, lane)?;
            let start = lane * stride + at[lane] as usize;
            if access.space == Space::Local {
                self.watch_local(warp, at[lane], lane, access.bytes, registers.len(), false)?;
            }
            for (k, &register) in registers.iter().enumerate() {
                let from = match access.space {
                    Space::Param => self.params,
                    _ => &warp.local[..],
                };
                let value = access.value(&from[start + k * access.bytes..]);
                set(warp, register, lane, value, access.wide);
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
            self.watch_local(warp, at[lane], lane, access.bytes, registers.len(), true)?;
            let start = lane * kernel.local_bytes + at[lane] as usize;
            for (k, &register) in registers.iter().enumerate() {
                let value = get(warp, register, lane, access.wide);
                warp.local[start + k * access.bytes..][..access.bytes]
                    .copy_from_slice(&value.to_le_bytes()[..access.bytes]);
            }
        }
        Ok(())
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

pub(super) fn get(warp: &Warp, register: u16, lane: usize, wide: bool) -> u64 {
    match wide {
        true => warp.longs[register as usize][lane],
        false => warp.words[register as usize][lane].into(),
    }
}

pub(super) fn set(warp: &mut Warp, register: u16, lane: usize, value: u64, wide: bool) {
    match wide {
        true => warp.longs[register as usize][lane] = value,
        false => warp.words[register as usize][lane] = value as u32,
    }
}

/// The low bytes of a value.
pub(super) fn cut(value: u64, bytes: usize) -> u64 {
    if bytes == 8 { value } else { value & ((1 << (8 * bytes)) - 1) }
}
