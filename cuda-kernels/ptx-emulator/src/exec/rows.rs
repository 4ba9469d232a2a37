//! Loads and stores of whole rows: the common case, where all lanes' addresses are right.

use std::array::from_fn;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use isa::multiversion;

use super::env::Env;
use super::memory::Access;
use super::offsets::Offsets;
use crate::ops::{Instruction, R};
use crate::types::Space;
use crate::warp::{FULL, LANES, Longs, Warp};

impl Env<'_> {
    /// Loads whole rows, where nothing but the addresses is to be checked and all of them are right;
    /// false: it did not.
    #[multiversion(warp.isa)]
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
    #[multiversion(warp.isa)]
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
}

impl Warp {
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
