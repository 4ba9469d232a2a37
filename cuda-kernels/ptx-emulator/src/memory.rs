//! Device memory: allocations that know their bounds. Blocks on several threads share it, so
//! it is made of atomic words; a plain access is a relaxed one, which costs nothing extra.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where allocations begin: far from 0, so that null and small offsets from it are faults.
pub(super) const FIRST: u64 = 0x1_0000_0000;
/// Allocations begin at multiples of this, as in CUDA, with at least this much between.
const ALIGN: u64 = 512;

/// An address range that is not inside one allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes at {at:#x} are not inside one allocation")]
pub struct MemoryError {
    /// The first address.
    pub at: u64,
    /// How many bytes.
    pub bytes: usize,
}

/// Device memory.
#[derive(Debug)]
pub struct Memory {
    /// In order of their addresses.
    allocations: Vec<Allocation>,
    next: u64,
    /// Addresses of the variables of modules that were launched.
    pub(super) variables: HashMap<u64, Vec<u64>>,
    /// See [`Memory::watch_uninitialised`].
    watched: bool,
}

/// One allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    /// Its address.
    pub start: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its contents.
    pub words: Vec<AtomicU32>,
    /// One bit per byte written; empty if not tracked.
    written: Vec<AtomicU32>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Memory without allocations.
    pub fn new() -> Memory {
        Memory { allocations: Vec::new(), next: FIRST, variables: HashMap::new(), watched: false }
    }

    /// From now on new allocations track which bytes were written, and a launch with the sanitizer
    /// faults when a kernel reads others.
    pub fn watch_uninitialised(&mut self) {
        self.watched = true;
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Allocates zeroed bytes (counted as unwritten) and returns their address, a multiple of 512.
    pub fn alloc(&mut self, bytes: usize) -> u64 {
        let start = self.next;
        let words = bytemuck::zeroed_vec::<AtomicU32>;
        let written = if self.watched { bytes.div_ceil(32) } else { 0 };
        self.allocations.push(Allocation {
            start,
            bytes: bytes as u64,
            words: words(bytes.div_ceil(4)),
            written: words(written),
        });
        self.next = (start + bytes as u64 + ALIGN).next_multiple_of(ALIGN);
        start
    }

    /// Frees an allocation; its addresses are never reused.
    pub fn free(&mut self, at: u64) -> Result<(), MemoryError> {
        match self.allocations.binary_search_by_key(&at, |allocation| allocation.start) {
            Ok(index) => {
                self.allocations.remove(index);
                Ok(())
            }
            Err(_) => Err(MemoryError { at, bytes: 0 }),
        }
    }

    /// Copies bytes into memory.
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let allocation = self.range(at, bytes.len())?;
        let mut offset = (at - allocation.start) as usize;
        allocation.mark(offset as u64, bytes.len());
        let mut rest = bytes;
        while !offset.is_multiple_of(4) && !rest.is_empty() {
            allocation.store(offset as u64, 1, rest[0].into());
            (offset, rest) = (offset + 1, &rest[1..]);
        }
        let words = &allocation.words[offset / 4..];
        let (whole, tail) = rest.as_chunks::<4>();
        for (word, &bytes) in words.iter().zip(whole) {
            word.store(u32::from_le_bytes(bytes), Relaxed);
        }
        for (i, &byte) in tail.iter().enumerate() {
            allocation.store((offset + whole.len() * 4 + i) as u64, 1, byte.into());
        }
        Ok(())
    }

    /// Copies bytes out of memory.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let allocation = self.range(at, bytes.len())?;
        let mut offset = (at - allocation.start) as usize;
        let mut rest = bytes;
        while !offset.is_multiple_of(4) && !rest.is_empty() {
            rest[0] = allocation.load(offset as u64, 1) as u8;
            (offset, rest) = (offset + 1, &mut rest[1..]);
        }
        let words = &allocation.words[offset / 4..];
        let (whole, tail) = rest.as_chunks_mut::<4>();
        for (word, bytes) in words.iter().zip(whole.iter_mut()) {
            *bytes = word.load(Relaxed).to_le_bytes();
        }
        for (i, byte) in tail.iter_mut().enumerate() {
            *byte = allocation.load((offset + whole.len() * 4 + i) as u64, 1) as u8;
        }
        Ok(())
    }

    fn range(&self, at: u64, bytes: usize) -> Result<&Allocation, MemoryError> {
        let found = self.find(at).map(|index| &self.allocations[index]);
        found
            .filter(|allocation| bytes as u64 <= allocation.bytes - (at - allocation.start))
            .ok_or(MemoryError { at, bytes })
    }

    /// The allocation that holds (or ends at) an address.
    pub(super) fn find(&self, at: u64) -> Option<usize> {
        let behind = self.allocations.partition_point(|allocation| allocation.start <= at);
        let index = behind.checked_sub(1)?;
        let allocation = &self.allocations[index];
        (at - allocation.start <= allocation.bytes).then_some(index)
    }

    pub(super) fn allocation(&self, index: usize) -> Option<&Allocation> {
        self.allocations.get(index)
    }

    /// The allocation nearest to an address, for the message of a fault.
    pub(super) fn nearest(&self, at: u64) -> Option<(u64, u64)> {
        let behind = self.allocations.partition_point(|allocation| allocation.start <= at);
        let allocation = &self.allocations.get(behind.saturating_sub(1))?;
        Some((allocation.start, allocation.bytes))
    }
}

impl Allocation {
    /// The word that holds the byte at an offset.
    #[inline(always)]
    pub fn word(&self, index: u64) -> u32 {
        self.words[index as usize].load(Relaxed)
    }

    /// Sets a word.
    #[inline(always)]
    pub fn set_word(&self, index: u64, value: u32) {
        self.words[index as usize].store(value, Relaxed);
    }

    /// Reads 1, 2, 4 or 8 aligned bytes at an offset.
    pub fn load(&self, offset: u64, bytes: usize) -> u64 {
        let word = offset / 4;
        match bytes {
            8 => u64::from(self.word(word)) | u64::from(self.word(word + 1)) << 32,
            4 => self.word(word).into(),
            _ => u64::from(self.word(word) >> (offset % 4 * 8)) & ((1 << (8 * bytes)) - 1),
        }
    }

    /// Writes 1, 2, 4 or 8 aligned bytes. Parts of a word are exchanged atomically: the rest of
    /// the word may be another block's.
    pub fn store(&self, offset: u64, bytes: usize, value: u64) {
        match bytes {
            8 => {
                self.set_word(offset / 4, value as u32);
                self.set_word(offset / 4 + 1, (value >> 32) as u32);
            }
            4 => self.set_word(offset / 4, value as u32),
            _ => {
                self.update(offset, bytes, |_| value);
            }
        }
    }

    /// Updates 1, 2 or 4 aligned bytes atomically and returns the old ones. 8 bytes are updated in
    /// two parts; kernels that do so run block by block.
    pub fn update(&self, offset: u64, bytes: usize, change: impl Fn(u64) -> u64) -> u64 {
        if bytes == 8 {
            let old = self.load(offset, 8);
            self.store(offset, 8, change(old));
            return old;
        }
        let shift = offset % 4 * 8;
        let mask = ((1u64 << (8 * bytes)) - 1) as u32;
        let word = &self.words[(offset / 4) as usize];
        let mut seen = word.load(Relaxed);
        loop {
            let old = seen >> shift & mask;
            let new = change(old.into()) as u32 & mask;
            let whole = seen & !(mask << shift) | new << shift;
            match word.compare_exchange_weak(seen, whole, Relaxed, Relaxed) {
                Ok(_) => return old.into(),
                Err(other) => seen = other,
            }
        }
    }

    /// Does the allocation track writes?
    pub fn is_watched(&self) -> bool {
        !self.written.is_empty()
    }

    /// Notes that bytes were written.
    pub fn mark(&self, offset: u64, bytes: usize) {
        if self.written.is_empty() {
            return;
        }
        let mut at = offset as usize;
        let end = at + bytes;
        while at < end {
            let (bit, word) = (at % 32, at / 32);
            let count = (32 - bit).min(end - at);
            let mask = (((1u64 << count) - 1) as u32) << bit;
            self.written[word].fetch_or(mask, Relaxed);
            at += count;
        }
    }

    /// Were these bytes (at most 16) all written?
    pub fn is_written(&self, offset: u64, bytes: usize) -> bool {
        (offset as usize..offset as usize + bytes)
            .all(|at| self.written[at / 32].load(Relaxed) >> (at % 32) & 1 == 1)
    }
}
