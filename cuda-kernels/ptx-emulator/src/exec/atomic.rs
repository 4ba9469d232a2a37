//! Atomics, lane by lane.

use super::env::{Env, Trouble, trouble};
use super::memory::{cut, get, little_endian, set};
use super::watch::atomic_touch;
use crate::error::FaultKind;
use crate::numeric::{BF16, F16, Format, bits32, flush32};
use crate::ops::{Address, Atomic, Instruction, Round, Semantics};
use crate::types::{Space, Ty};
use crate::warp::{Warp, lanes};
use crate::windows::same_space;

impl Env<'_> {
    /// Atomics, lane by lane in order.
    pub fn atomic(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        (op, ty): (Atomic, Ty),
        (space, address): (Space, Address),
        semantics: Semantics,
        active: u32,
    ) -> Result<(), Trouble> {
        let bytes = ty.bytes();
        let wide = bytes == 8;
        let at = warp.addresses(i, address);
        let touch = atomic_touch(semantics);
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
                        self.watch_global(&at, &places, mask, bytes as u64, touch)?;
                    }
                    for lane in lanes(mask) {
                        let (index, offset) = places[lane];
                        let Some(allocation) = self.memory.allocation(index) else { continue };
                        let [b, c] = [i.b, i.c].map(|r| cut(get(warp, r, lane, wide), bytes));
                        let new = |old| change((op, ty), true, [old, b, c]);
                        let old = allocation.update(offset, bytes, new);
                        self.changed |= new(old) != old;
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
                            self.watch_shared(at[lane], lane, bytes, touch)?;
                        }
                        let [b, c] = [i.b, i.c].map(|r| cut(get(warp, r, lane, wide), bytes));
                        let cell = &mut self.shared[at[lane] as usize..][..bytes];
                        let old = little_endian(cell);
                        let new = change((op, ty), false, [old, b, c]);
                        self.changed |= new != old;
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
}

/// The new value of an atomic. `flushes`: subnormal f32 are zero, as in global memory.
fn change((op, ty): (Atomic, Ty), flushes: bool, [old, b, c]: [u64; 3]) -> u64 {
    let half = |format: Format, old: u64, b: u64| {
        let sum = format.to_f64(old & 0xffff) + format.to_f64(b & 0xffff);
        format.round_f64(sum, Round::Nearest)
    };
    match (op, ty) {
        (Atomic::Add, Ty::F32) => {
            let [old, b] = [old, b].map(|bits| f32::from_bits(bits as u32));
            let sum = if flushes { flush32(flush32(old) + flush32(b)) } else { old + b };
            bits32(sum).into()
        }
        (Atomic::Add, Ty::F64) => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        (Atomic::Add, Ty::F16) => half(F16, old, b),
        (Atomic::Add, Ty::Bf16) => half(BF16, old, b),
        (Atomic::Add, Ty::F16x2) => half(F16, old, b) | half(F16, old >> 16, b >> 16) << 16,
        (Atomic::Add, Ty::Bf16x2) => half(BF16, old, b) | half(BF16, old >> 16, b >> 16) << 16,
        (Atomic::Min | Atomic::Max, Ty::F16 | Ty::Bf16 | Ty::F16x2 | Ty::Bf16x2) => {
            let format = if matches!(ty, Ty::F16 | Ty::F16x2) { F16 } else { BF16 };
            let pick = |a: u64, b: u64| {
                let [x, y] = [a, b].map(|bits| format.to_f64(bits & 0xffff));
                let first = if op == Atomic::Min { x < y } else { x > y };
                (if first || y.is_nan() { a } else { b }) & 0xffff
            };
            match ty.bytes() {
                2 => pick(old, b),
                _ => pick(old, b) | pick(old >> 16, b >> 16) << 16,
            }
        }
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
