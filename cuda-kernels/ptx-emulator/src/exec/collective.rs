//! Collective operations of lanes: shuffles, votes, matches, reductions.

use super::env::{Env, Trouble, trouble};
use super::float::{max32, min32};
use crate::error::FaultKind;
use crate::numeric::{NAN32, canonical32};
use crate::ops::{Instruction, Reduce, Shuffle, Vote};
use crate::types::{Class, Ty};
use crate::warp::{FULL, LANES, Warp, Words, lanes};

impl Env<'_> {
    /// Do the lanes that are here fit their member masks? Each must be in its own, and all that
    /// it names must be here, or have ended.
    pub(super) fn check_members(
        &self,
        warp: &Warp,
        active: u32,
        masks: &Words,
    ) -> Result<(), Trouble> {
        if *masks == [FULL; LANES] && warp.live & !active == 0 {
            return Ok(());
        }
        for lane in lanes(active) {
            let mask = masks[lane];
            if mask >> lane & 1 == 0 {
                let detail =
                    format!("the member mask {mask:#010x} does not name lane {lane} itself");
                return Err(trouble(FaultKind::WarpDivergence, lane, detail));
            }
            let missing = mask & warp.live & !active;
            if missing != 0 {
                let detail = format!(
                    "the member mask {mask:#010x} names lane {}, which took another path",
                    missing.trailing_zeros()
                );
                return Err(trouble(FaultKind::WarpDivergence, lane, detail));
            }
        }
        Ok(())
    }

    /// `shfl.sync`: the segment is that of `c`'s bits 8 to 12, the clamp its bits 0 to 4.
    pub(super) fn shuffle(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        shuffle: Shuffle,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[self.kernel.lists[i.ins.start as usize] as usize];
        self.check_members(warp, active, &masks)?;
        let (a, b, c) =
            (warp.words[i.a as usize], warp.words[i.b as usize], warp.words[i.c as usize]);
        let (sources, inside) = match shuffle {
            Shuffle::Up => route(&b, &c, |own, offset, _, most| {
                (own.wrapping_sub(offset), own as i32 - offset as i32 >= most as i32)
            }),
            Shuffle::Down => {
                route(&b, &c, |own, offset, _, most| (own + offset, own + offset <= most))
            }
            Shuffle::Bfly => {
                route(&b, &c, |own, offset, _, most| (own ^ offset, own ^ offset <= most))
            }
            Shuffle::Idx => route(&b, &c, |own, offset, segment, most| {
                let source = own & segment | offset & !segment;
                (source, source <= most)
            }),
        };
        if self.sanitizer.is_some() {
            let reads_other = |&lane: &usize| active >> sources[lane] & 1 == 0;
            if let Some(lane) = lanes(active).find(reads_other) {
                let source = sources[lane];
                let detail = format!("lane {lane} reads lane {source}, which is not active");
                return Err(trouble(FaultKind::WarpDivergence, lane, detail));
            }
        }
        let mut row = [0; LANES];
        for (to, source) in row.iter_mut().zip(sources) {
            *to = a[source as usize % LANES];
        }
        warp.set_words(i.d, active, row);
        warp.set_pred(i.e, active, inside);
        Ok(())
    }

    pub(super) fn vote(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        vote: Vote,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let bits = warp.preds[i.a as usize] ^ if i.imm == 1 { u32::MAX } else { 0 };
        if vote == Vote::Ballot {
            let row = masks.map(|mask| bits & mask & active);
            warp.set_words(i.d, active, row);
            return Ok(());
        }
        let mut result = 0;
        for lane in lanes(active) {
            let members = masks[lane] & active;
            let set = bits & members;
            let holds = match vote {
                Vote::All => set == members,
                Vote::Any => set != 0,
                _ => set == members || set == 0,
            };
            result |= u32::from(holds) << lane;
        }
        warp.set_pred(i.d, active, result);
        Ok(())
    }

    fn values(warp: &Warp, i: &Instruction, class: Class) -> [u64; LANES] {
        match class {
            Class::Long => warp.longs[i.a as usize],
            _ => warp.words[i.a as usize].map(u64::from),
        }
    }

    pub(super) fn match_any(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        class: Class,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let values = Self::values(warp, i, class);
        let row = std::array::from_fn(|lane| {
            lanes(masks[lane] & active)
                .filter(|&other| values[other] == values[lane])
                .fold(0, |mask, other| mask | 1 << other)
        });
        warp.set_words(i.d, active, row);
        Ok(())
    }

    pub(super) fn match_all(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        class: Class,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let values = Self::values(warp, i, class);
        let (mut row, mut bits) = ([0; LANES], 0);
        for lane in lanes(active) {
            let members = masks[lane] & active;
            if lanes(members).all(|other| values[other] == values[lane]) {
                row[lane] = members;
                bits |= 1 << lane;
            }
        }
        warp.set_words(i.d, active, row);
        warp.set_pred(i.e, active, bits);
        Ok(())
    }

    /// `elect.sync`: the lowest lane of the mask.
    pub(super) fn elect(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let leader = |lane: usize| (masks[lane] & active).trailing_zeros();
        let row = std::array::from_fn(leader);
        let elected = lanes(active).filter(|&lane| leader(lane) == lane as u32);
        let bits = elected.fold(0, |bits, lane| bits | 1 << lane);
        warp.set_words(i.d, active, row);
        warp.set_pred(i.e, active, bits);
        Ok(())
    }

    pub(super) fn redux(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        reduce: Reduce,
        ty: Ty,
        active: u32,
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let values = warp.words[i.a as usize];
        let two = |a: u32, b: u32| match reduce {
            Reduce::Add => a.wrapping_add(b),
            Reduce::And => a & b,
            Reduce::Or => a | b,
            Reduce::Xor => a ^ b,
            Reduce::Min if ty.is_signed() => (a as i32).min(b as i32) as u32,
            Reduce::Max if ty.is_signed() => (a as i32).max(b as i32) as u32,
            Reduce::Min => a.min(b),
            _ => a.max(b),
        };
        let row = std::array::from_fn(|lane| {
            lanes(masks[lane] & active).map(|other| values[other]).reduce(two).unwrap_or(0)
        });
        warp.set_words(i.d, active, row);
        Ok(())
    }

    /// The smallest or largest f32, or of their absolute values; a NaN loses, or with `nan` wins.
    pub(super) fn redux_float(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
        largest: bool,
        (abs, nan): (bool, bool),
    ) -> Result<(), Trouble> {
        let masks = warp.words[i.b as usize];
        self.check_members(warp, active, &masks)?;
        let values = warp.words[i.a as usize].map(|bits| {
            let x = f32::from_bits(bits);
            if abs { x.abs() } else { x }
        });
        let two = |a: f32, b: f32| match largest {
            _ if nan && (a.is_nan() || b.is_nan()) => f32::from_bits(NAN32),
            true => f32::from_bits(max32(a, b)),
            false => f32::from_bits(min32(a, b)),
        };
        let row = std::array::from_fn(|lane| {
            let members = lanes(masks[lane] & active).map(|other| values[other]);
            members.reduce(two).map_or(0, |x| canonical32(x.to_bits()))
        });
        warp.set_words(i.d, active, row);
        Ok(())
    }
}

/// Where each lane of a shuffle reads, itself if it would leave its segment, and which would not:
/// from `b` and `c` and a function of the lane, its offset, its segment's bits and its limit.
#[inline(always)]
fn route(b: &Words, c: &Words, from: impl Fn(u32, u32, u32, u32) -> (u32, bool)) -> (Words, u32) {
    let (mut sources, mut inside) = ([0; LANES], 0);
    for lane in 0..LANES {
        let (own, segment, clamp) = (lane as u32, c[lane] >> 8 & 31, c[lane] & 31);
        let (source, valid) = from(own, b[lane] & 31, segment, own & segment | clamp & !segment);
        sources[lane] = if valid { source } else { own };
        inside |= u32::from(valid) << lane;
    }
    (sources, inside)
}
