//! Where the lanes of a warp access one memory, checked for all of them together.

use std::array::from_fn;

use crate::ops::{Address, Instruction};
use crate::registers::Row;
use crate::warp::{FULL, LANES, Warp, Words, lanes};

/// Lanes that are looked at together.
const GROUP: usize = 8;

/// Each lane's offset in one memory, where its bytes are all inside and aligned. Lanes that are off
/// have the offset of one that is on, and so may read as well.
pub(super) struct Offsets(Row<u32>);

impl Warp {
    /// The lanes' offsets in a memory of `size` bytes that begins at `start`, each of `total` bytes
    /// (a power of two). `None`: not all are inside and aligned, or some are beyond 4 GiB.
    #[inline(always)]
    pub(super) fn offsets(
        &self,
        i: &Instruction,
        address: Address,
        active: u32,
        (start, size): (u64, u64),
        total: u64,
    ) -> Option<Offsets> {
        let most = size.checked_sub(total)?.min(u32::MAX.into());
        let at = |lane| self.address(i, address, lane).wrapping_sub(start);
        // The form of address is known in each loop.
        let (offsets, all, outside) = match address {
            Address::Long => Offsets::of(active, most, at),
            Address::Word => Offsets::of(active, most, at),
            Address::Fixed => Offsets::of(active, most, at),
        };
        (!outside && all & (total - 1) == 0).then_some(offsets)
    }
}

impl Offsets {
    /// The offsets, which bits are set in any, and whether one is above `most`.
    #[inline(always)]
    fn of(active: u32, most: u64, at: impl Fn(usize) -> u64) -> (Offsets, u64, bool) {
        let (mut row, mut all, mut signs) = (Row([0; LANES]), 0, 0);
        let one = at(active.trailing_zeros() as usize % LANES);
        for lane in 0..LANES {
            let is_on = active == FULL || active >> lane & 1 == 1;
            let at = if is_on { at(lane) } else { one };
            all |= at;
            // Its sign, if `at` itself has none, says which is larger.
            signs |= most.wrapping_sub(at);
            row.0[lane] = at as u32;
        }
        (Offsets(row), all, (all | signs) >> 63 == 1)
    }

    /// Each lane's offset.
    pub fn row(&self) -> &Words {
        &self.0.0
    }

    /// `N` neighbouring words for each lane: a row of the first ones, one of the second ones, ...
    #[inline(always)]
    pub fn load<T, const N: usize>(
        &self,
        words: &[T],
        read: impl Fn(&T) -> u32,
        mut rows: [&mut Words; N],
    ) {
        for (group, at) in self.row().as_chunks::<GROUP>().0.iter().enumerate() {
            let lanes = group * GROUP..(group + 1) * GROUP;
            let first = at[0] as usize / 4;
            // Neighbours often want the same words, or those next to each other.
            if *at == [at[0]; GROUP] {
                for (row, word) in rows.iter_mut().zip(&words[first..][..N]) {
                    row[lanes.clone()].fill(read(word));
                }
            } else if *at == from_fn(|lane| at[0].wrapping_add((4 * N * lane) as u32)) {
                let (words, _) = words[first..][..N * GROUP].as_chunks::<N>();
                for (lane, words) in lanes.zip(words) {
                    for (row, word) in rows.iter_mut().zip(words) {
                        row[lane] = read(word);
                    }
                }
            } else {
                for (lane, &at) in lanes.zip(at) {
                    for (row, word) in rows.iter_mut().zip(&words[at as usize / 4..][..N]) {
                        row[lane] = read(word);
                    }
                }
            }
        }
    }

    /// Stores `N` neighbouring words of each lane that is on, lane after lane.
    #[inline(always)]
    pub fn store<const N: usize>(
        &self,
        active: u32,
        rows: [&Words; N],
        mut store: impl FnMut(usize, u32),
    ) {
        for lane in lanes(active) {
            for (k, row) in rows.iter().enumerate() {
                store(self.row()[lane] as usize / 4 + k, row[lane]);
            }
        }
    }
}
