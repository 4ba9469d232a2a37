//! Loads and stores: address resolution, and a thread's private spaces.

use super::env::{Env, Trouble, trouble};
use crate::error::FaultKind;
use crate::ops::{Address, Instruction, R, Semantics};
use crate::types::Space;
use crate::warp::{Longs, Warp, lanes};
use crate::windows::{LOCAL_BASE, same_space};

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
    /// A lane's address.
    #[inline(always)]
    pub fn address(&self, i: &Instruction, address: Address, lane: usize) -> u64 {
        let offset = i.imm as i64 as u64;
        match address {
            Address::Fixed => offset,
            Address::Long => self.longs[i.a as usize][lane].wrapping_add(offset),
            Address::Word => self.words[i.a as usize][lane].wrapping_add(i.imm as u32).into(),
        }
    }

    /// The lanes' addresses.
    pub fn addresses(&self, i: &Instruction, address: Address) -> Longs {
        std::array::from_fn(|lane| self.address(i, address, lane))
    }

    /// Where asynchronous copies read, and which lanes do: a copy of no source bytes does not. `lists` are
    /// the kernel's.
    pub fn copy_source(&self, lists: &[R], i: &Instruction, active: u32) -> (Longs, u32) {
        let offset = lists[i.ins.start as usize];
        let offset = self.words[offset as usize][0] as i32 as i64 as u64;
        let sizes = self.words[i.c as usize];
        let reads = lanes(active).filter(|&lane| sizes[lane] > 0);
        let reads = reads.fold(0, |all, lane| all | 1 << lane);
        (self.longs[i.b as usize].map(|from| from.wrapping_add(offset)), reads)
    }
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
