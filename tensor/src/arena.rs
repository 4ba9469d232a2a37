//! One allocation per device, handed out as disjoint slices.
//!
//! All values of a training step are stored in one block of memory with a planned layout. A kernel
//! needs several parts of it together, some to read and some to write: [`Arena::split`] checks that
//! no written part touches another part and then hands out plain slices.

use std::sync::atomic::AtomicU32;

use memmap2::MmapMut;

use crate::{Error, Result};

/// The type of a tensor's numbers in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DType {
    /// A number.
    #[default]
    F32,
    /// An index.
    U32,
    /// A number rounded to bf16, two in an element of an arena.
    Bf16,
}

impl DType {
    /// Elements of an arena that so many numbers take.
    pub fn words(self, numbers: usize) -> usize {
        match self {
            DType::F32 | DType::U32 => numbers,
            DType::Bf16 => numbers.div_ceil(2),
        }
    }
}

/// A part of an arena, in 4-byte elements from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Slot {
    /// First element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// What is in them.
    pub dtype: DType,
}

impl Slot {
    /// A slot of `f32`.
    pub const fn new(offset: usize, len: usize) -> Slot {
        Slot { offset, len, dtype: DType::F32 }
    }

    /// How many numbers are in it.
    pub fn numbers(self) -> usize {
        match self.dtype {
            DType::F32 | DType::U32 => self.len,
            DType::Bf16 => 2 * self.len,
        }
    }

    /// The part of this slot from element `start`, `len` elements long.
    ///
    /// # Panics
    /// If the part reaches outside the slot.
    pub fn part(self, start: usize, len: usize) -> Slot {
        assert!(start + len <= self.len, "part {start}+{len} of a slot of {} elements", self.len);
        Slot { offset: self.offset + start, len, ..self }
    }

    fn end(self) -> usize {
        self.offset + self.len
    }

    fn overlaps(self, other: Slot) -> bool {
        self.len > 0 && other.len > 0 && self.offset < other.end() && other.offset < self.end()
    }
}

/// Slots should start at multiples of this many elements: one cache line, one AVX-512 vector.
pub const ALIGN: usize = 16;

/// A block of 4-byte elements, page aligned, zeroed at first. Elements are `f32`; indices are `u32`
/// in the same block (see [`bits`]), and on some devices an element is two bf16.
pub struct Arena {
    pages: MmapMut,
    len: usize,
}

impl Arena {
    /// An arena of `len` elements, all zero.
    ///
    /// # Errors
    /// If the system is out of memory.
    pub fn new(len: usize) -> Result<Arena> {
        let pages = MmapMut::map_anon(4 * len).map_err(|error| {
            Error::device(format!("no memory for an arena of {} bytes: {error}", 4 * len))
        })?;
        // Rows of prototypes are accessed at random: 2 MiB pages cause fewer TLB misses. A system
        // without them uses small pages. Miri does not know the call.
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = pages.advise(memmap2::Advice::HugePage);
        Ok(Arena { pages, len })
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if the arena has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Slices for one kernel: any number of parts to read and to write, and its scratch memory.
    ///
    /// # Panics
    /// If a part to write overlaps any other part, or a part is outside the arena: a planner bug.
    pub fn split<const R: usize, const W: usize>(
        &mut self,
        reads: [Slot; R],
        writes: [Slot; W],
        workspace: Slot,
    ) -> ([&[f32]; R], [&mut [f32]; W], &mut [f32]) {
        for (i, write) in writes.iter().chain([&workspace]).enumerate() {
            let clash = reads.iter().chain(&writes[..i]).find(|other| write.overlaps(**other));
            assert!(clash.is_none(), "slot {write:?} is written while {clash:?} is in use");
        }
        for slot in reads.iter().chain(&writes).chain([&workspace]) {
            assert!(slot.end() <= self.len, "slot {slot:?} in an arena of {}", self.len);
        }
        let base = self.pages.as_mut_ptr().cast::<f32>();
        // SAFETY: every slot is inside the arena, which `&mut self` keeps alive and borrowed for
        // the life of the slices, and no written slot overlaps another one: both checked above. A
        // page is aligned for f32, and every bit pattern is a valid one.
        unsafe {
            (
                reads.map(|s| std::slice::from_raw_parts(base.add(s.offset), s.len)),
                writes.map(|s| std::slice::from_raw_parts_mut(base.add(s.offset), s.len)),
                std::slice::from_raw_parts_mut(base.add(workspace.offset), workspace.len),
            )
        }
    }

    /// One part to read.
    pub fn read(&mut self, slot: Slot) -> &[f32] {
        let ([x], [], _) = self.split([slot], [], Slot::default());
        x
    }

    /// One part to write.
    pub fn write(&mut self, slot: Slot) -> &mut [f32] {
        let ([], [y], _) = self.split([], [slot], Slot::default());
        y
    }
}

/// The same elements as indices.
pub fn bits(x: &[f32]) -> &[u32] {
    // SAFETY: f32 and u32 have the same size and alignment and every bit pattern is valid for both.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The same elements as indices, to write.
pub fn bits_mut(x: &mut [f32]) -> &mut [u32] {
    // SAFETY: as in `bits`, and the exclusive borrow carries over to the result.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// The same elements as cells that several threads may write, in any order.
pub fn shared(x: &mut [f32]) -> &[AtomicU32] {
    // SAFETY: AtomicU32 has the size and alignment of f32 and every bit pattern is valid for both;
    // the exclusive borrow carries over, so all access goes through the atomics while they live.
    unsafe { std::slice::from_raw_parts(x.as_mut_ptr().cast(), x.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn slot(offset: usize, len: usize) -> Slot {
        Slot::new(offset, len)
    }

    #[test]
    fn splits_into_disjoint_slices() {
        let mut arena = Arena::new(40).unwrap();
        arena.write(slot(0, 16)).fill(1.0);
        let ([x, same], [y], _) =
            arena.split([slot(0, 16), slot(4, 4)], [slot(16, 16)], Slot::default());
        y.copy_from_slice(x);
        assert_eq!(same, [1.0; 4]);
        assert_eq!(arena.read(slot(31, 2)), [1.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "is written while")]
    fn refuses_overlap() {
        Arena::new(40).unwrap().split([slot(0, 17)], [slot(16, 16)], Slot::default());
    }

    #[test]
    #[should_panic(expected = "is written while")]
    fn refuses_scratch_memory_in_use() {
        Arena::new(40).unwrap().split([slot(0, 17)], [slot(20, 4)], slot(16, 4));
    }

    #[test]
    #[should_panic(expected = "in an arena of")]
    fn refuses_outside() {
        Arena::new(40).unwrap().read(slot(39, 2));
    }

    #[test]
    fn too_little_memory_is_one_line() {
        let line = Arena::new(1 << 60).err().expect("no machine has that").to_string();
        assert!(line.contains("no memory for an arena of 4611686018427387904 bytes"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn indices_share_the_memory() {
        let mut arena = Arena::new(4).unwrap();
        bits_mut(arena.write(slot(0, 4))).copy_from_slice(&[0, 1, u32::MAX, 7]);
        assert_eq!(bits(arena.read(slot(0, 4))), [0, 1, u32::MAX, 7]);
    }
}
