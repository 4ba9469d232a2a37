//! Comparisons, selections, packing and conversions.

use isa::multiversion;

use crate::numeric::{BF16, F16, F32, F64, Format, NAN32, TF32, flush32, round32};
use crate::ops::{Combine, Compare, Instruction, List, Mode, NONE, R, Round, Test};
use crate::types::{Class, Ty};
use crate::warp::{FULL, LANES, Longs, Warp, Words};

/// One bit per lane where the comparison holds.
#[inline(always)]
fn lanes_where<T: Copy>(a: &[T; LANES], b: &[T; LANES], holds: impl Fn(T, T) -> bool) -> u32 {
    let mut mask = 0;
    for lane in 0..LANES {
        mask |= u32::from(holds(a[lane], b[lane])) << lane;
    }
    mask
}

/// Integers: the unordered comparisons do not exist.
#[inline(always)]
fn compare_with<T: Copy, U: PartialOrd>(
    compare: Compare,
    a: &[T; LANES],
    b: &[T; LANES],
    value: impl Fn(T) -> U,
) -> u32 {
    let v = value;
    match compare {
        Compare::Eq | Compare::Num => lanes_where(a, b, |a, b| v(a) == v(b)),
        Compare::Ne | Compare::Nan => lanes_where(a, b, |a, b| v(a) != v(b)),
        Compare::Lt => lanes_where(a, b, |a, b| v(a) < v(b)),
        Compare::Le => lanes_where(a, b, |a, b| v(a) <= v(b)),
        Compare::Gt => lanes_where(a, b, |a, b| v(a) > v(b)),
        Compare::Ge => lanes_where(a, b, |a, b| v(a) >= v(b)),
        // Unordered: also true if one is NaN, so the negation of the opposite.
        Compare::Equ => !lanes_where(a, b, |a, b| v(a) < v(b) || v(a) > v(b)),
        Compare::Neu => lanes_where(a, b, |a, b| v(a) != v(b)),
        Compare::Ltu => !lanes_where(a, b, |a, b| v(a) >= v(b)),
        Compare::Leu => !lanes_where(a, b, |a, b| v(a) > v(b)),
        Compare::Gtu => !lanes_where(a, b, |a, b| v(a) <= v(b)),
        Compare::Geu => !lanes_where(a, b, |a, b| v(a) < v(b)),
    }
}

/// Floats: `.num` and `.nan` ask whether both are numbers, `.ne` is false for NaN.
#[inline(always)]
fn compare_floats<T: Copy, U: PartialOrd + Copy>(
    compare: Compare,
    a: &[T; LANES],
    b: &[T; LANES],
    value: impl Fn(T) -> U,
) -> u32 {
    let v = &value;
    let ordered = |a: U, b: U| a.partial_cmp(&b).is_some();
    match compare {
        Compare::Num => lanes_where(a, b, |a, b| ordered(v(a), v(b))),
        Compare::Nan => !lanes_where(a, b, |a, b| ordered(v(a), v(b))),
        Compare::Ne => lanes_where(a, b, |a, b| v(a) < v(b) || v(a) > v(b)),
        compare => compare_with(compare, a, b, v),
    }
}

impl Warp {
    #[multiversion(self.isa)]
    fn compare(&self, compare: Compare, ty: Ty, ftz: bool, a: R, b: R) -> u32 {
        let (a, b) = (a as usize, b as usize);
        if ty.bits() == 64 {
            let (a, b) = (&self.longs[a], &self.longs[b]);
            return match ty {
                Ty::F64 => compare_floats(compare, a, b, f64::from_bits),
                Ty::S64 => compare_with(compare, a, b, |x| x as i64),
                _ => compare_with(compare, a, b, |x| x),
            };
        }
        let (a, b) = (&self.words[a], &self.words[b]);
        match ty {
            Ty::F32 if ftz => compare_floats(compare, a, b, |x| flush32(f32::from_bits(x))),
            Ty::F32 => compare_floats(compare, a, b, f32::from_bits),
            Ty::F16 if ftz => {
                compare_floats(compare, a, b, |x| F16.to_f64(F16.flush(u64::from(x & 0xffff))))
            }
            Ty::F16 => compare_floats(compare, a, b, |x| F16.to_f64(u64::from(x & 0xffff))),
            Ty::Bf16 => compare_floats(compare, a, b, |x| f32::from_bits(x << 16)),
            Ty::S32 => compare_with(compare, a, b, |x| x as i32),
            Ty::S16 => compare_with(compare, a, b, |x| x as i16),
            Ty::U16 | Ty::B16 => compare_with(compare, a, b, |x| x as u16),
            _ => compare_with(compare, a, b, |x| x),
        }
    }

    fn combine(&self, combine: Combine, bits: u32, c: R, negated: bool) -> u32 {
        if combine == Combine::None {
            return bits;
        }
        let c = self.preds[c as usize] ^ if negated { FULL } else { 0 };
        match combine {
            Combine::And => bits & c,
            Combine::Or => bits | c,
            Combine::Xor => bits ^ c,
            Combine::None => bits,
        }
    }

    /// `setp`.
    #[inline(always)]
    pub fn set_predicate(
        &mut self,
        i: &Instruction,
        (compare, ty, ftz): (Compare, Ty, bool),
        (combine, negated): (Combine, bool),
        active: u32,
    ) {
        let bits = self.compare(compare, ty, ftz, i.a, i.b);
        let first = self.combine(combine, bits, i.c, negated);
        let second = self.combine(combine, !bits, i.c, negated);
        self.set_pred(i.d, active, first);
        self.set_pred(i.e, active, second);
    }

    /// `set`: all ones for an integer, 1.0 for a float.
    pub fn set_value(
        &mut self,
        i: &Instruction,
        to: Ty,
        (compare, ty, ftz): (Compare, Ty, bool),
        (combine, negated): (Combine, bool),
        active: u32,
    ) {
        let bits = self.compare(compare, ty, ftz, i.a, i.b);
        let bits = self.combine(combine, bits, i.c, negated);
        let one = match to {
            Ty::F32 => 1f32.to_bits(),
            Ty::F16 => 0x3c00,
            Ty::Bf16 => 0x3f80,
            Ty::U16 | Ty::S16 => 0xffff,
            _ => FULL,
        };
        let row = std::array::from_fn(|lane| if bits >> lane & 1 == 1 { one } else { 0 });
        self.set_words(i.d, active, row);
    }

    /// `selp`.
    #[inline(always)]
    pub fn select(&mut self, i: &Instruction, class: Class, active: u32) {
        let choose = self.preds[i.c as usize];
        let (a, b) = (i.a as usize, i.b as usize);
        match class {
            Class::Word => {
                let mut row = self.words[b];
                for (lane, (row, a)) in row.iter_mut().zip(&self.words[a]).enumerate() {
                    let keep = ((choose >> lane) & 1).wrapping_sub(1);
                    *row = (*row & keep) | (a & !keep);
                }
                self.set_words(i.d, active, row);
            }
            Class::Long => {
                let mut row = self.longs[b];
                for (lane, (row, a)) in row.iter_mut().zip(&self.longs[a]).enumerate() {
                    let keep = u64::from((choose >> lane) & 1).wrapping_sub(1);
                    *row = (*row & keep) | (a & !keep);
                }
                self.set_longs(i.d, active, row);
            }
            Class::Pred => {
                let bits = (self.preds[a] & choose) | (self.preds[b] & !choose);
                self.set_pred(i.d, active, bits);
            }
        }
    }

    /// `testp`.
    pub fn test(&mut self, i: &Instruction, test: Test, ty: Ty, active: u32) {
        let classify = |lane: usize| match ty {
            Ty::F64 => f64::from_bits(self.longs[i.a as usize][lane]).classify(),
            _ => f32::from_bits(self.words[i.a as usize][lane]).classify(),
        };
        use std::num::FpCategory::*;
        let mut bits = 0;
        for lane in 0..LANES {
            let class = classify(lane);
            let holds = match test {
                Test::Finite => !matches!(class, Nan | Infinite),
                Test::Infinite => class == Infinite,
                Test::Number => class != Nan,
                Test::NotANumber => class == Nan,
                // "As a special case, positive and negative zero are considered normal numbers."
                Test::Normal => matches!(class, Normal | Zero),
                Test::Subnormal => class == Subnormal,
            };
            bits |= u32::from(holds) << lane;
        }
        self.set_pred(i.d, active, bits);
    }

    /// Parts to a whole, the first part lowest.
    pub fn pack(&mut self, i: &Instruction, lists: &[R], bits: u8, class: Class, active: u32) {
        let parts = &lists[i.ins.range()];
        let mask = if bits == 32 { FULL } else { (1 << bits) - 1 };
        match class {
            Class::Long => {
                let mut row: Longs = [0; LANES];
                for (at, &part) in parts.iter().enumerate() {
                    for (row, &part) in row.iter_mut().zip(&self.words[part as usize]) {
                        *row |= u64::from(part & mask) << (at * bits as usize);
                    }
                }
                self.set_longs(i.d, active, row);
            }
            _ => {
                let mut row: Words = [0; LANES];
                for (at, &part) in parts.iter().enumerate() {
                    for (row, &part) in row.iter_mut().zip(&self.words[part as usize]) {
                        *row |= (part & mask) << (at * bits as usize);
                    }
                }
                self.set_words(i.d, active, row);
            }
        }
    }

    /// A whole to parts.
    pub fn unpack(
        &mut self,
        i: &Instruction,
        outs: List,
        lists: &[R],
        bits: u8,
        class: Class,
        active: u32,
    ) {
        let mask = if bits == 32 { FULL } else { (1 << bits) - 1 };
        // Parts may be the whole's own register: read it first.
        let whole: Longs = match class {
            Class::Long => self.longs[i.a as usize],
            _ => self.words[i.a as usize].map(u64::from),
        };
        for (at, &part) in lists[outs.range()].iter().enumerate() {
            if part != NONE {
                let row = whole.map(|whole| (whole >> (at * bits as usize)) as u32 & mask);
                self.set_words(part, active, row);
            }
        }
    }

    /// Two f32 to a pair of halves, the first operand in the upper half.
    pub fn convert_pair(&mut self, i: &Instruction, to: Ty, mode: Mode, active: u32) {
        self.word2(i, active, |a, b| {
            let one = |x| to_half(to, mode, f64::from(f32::from_bits(x)));
            one(a) << 16 | one(b)
        });
    }

    /// `cvt`.
    #[multiversion(self.isa)]
    pub fn convert(
        &mut self,
        i: &Instruction,
        (to, from): (Ty, Ty),
        mode: Mode,
        integral: bool,
        [wide_to, wide_from]: [bool; 2],
        active: u32,
    ) {
        if !wide_to && !wide_from && mode == Mode::PLAIN && !integral {
            match (to, from) {
                (Ty::F32, Ty::S32) => {
                    return self.word1(i, active, |a| (a as i32 as f32).to_bits());
                }
                (Ty::F32, Ty::U32) => return self.word1(i, active, |a| (a as f32).to_bits()),
                (Ty::F32, Ty::Bf16) => return self.word1(i, active, |a| a << 16),
                _ => {}
            }
        }
        let saturates = mode == Mode { sat: true, ..Mode::PLAIN };
        match (to, from, wide_to, wide_from) {
            (Ty::F32, Ty::F32, false, false) if saturates && !integral => {
                return self.word1(i, active, |a| {
                    let value = f32::from_bits(a);
                    if value > 0.0 { value.min(1.0).to_bits() } else { 0 }
                });
            }
            (Ty::S64 | Ty::U64, Ty::U32, true, false) => return self.widen(i, active, u64::from),
            (Ty::S64 | Ty::U64, Ty::S32, true, false) => {
                return self.widen(i, active, |a| a as i32 as i64 as u64);
            }
            (Ty::U32 | Ty::S32, Ty::U64 | Ty::S64, false, true) if !mode.sat => {
                return self.narrow(i, active, |a| a as u32);
            }
            _ => {}
        }
        let one = |value| convert_one(value, to, from, mode, integral, wide_to);
        match (wide_to, wide_from) {
            (false, false) => self.word1(i, active, |a| one(a.into()) as u32),
            (true, false) => self.widen(i, active, |a| one(a.into())),
            (false, true) => self.narrow(i, active, |a| one(a) as u32),
            (true, true) => self.long1(i, active, one),
        }
    }
}

fn to_half(to: Ty, mode: Mode, value: f64) -> u32 {
    let format = if matches!(to, Ty::F16 | Ty::F16x2) { F16 } else { BF16 };
    let value = if mode.relu && value < 0.0 { 0.0 } else { value };
    let value = match mode.sat {
        true if value > 0.0 => value.min(1.0),
        true => 0.0,
        false => value,
    };
    let bits = format.round_f64(value, mode.round) as u32;
    if mode.finite && !value.is_nan() { format.finite(bits.into()) as u32 } else { bits }
}

fn integer_bounds(ty: Ty) -> (i128, i128) {
    match ty.is_signed() {
        true => (-(1 << (ty.bits() - 1)), (1 << (ty.bits() - 1)) - 1),
        false => (0, (1 << ty.bits()) - 1),
    }
}

/// The low bits of a register as an integer of the type.
fn integer_of(bits: u64, ty: Ty) -> i128 {
    let unused = 64 - ty.bits();
    match ty.is_signed() {
        true => ((bits << unused) as i64 >> unused).into(),
        false => (bits << unused >> unused).into(),
    }
}

/// Rounds to an integer in a float.
fn to_integral(x: f64, round: Round) -> f64 {
    match round {
        Round::Nearest | Round::Away => x.round_ties_even(),
        Round::Zero => x.trunc(),
        Round::Down => x.floor(),
        Round::Up => x.ceil(),
    }
}

fn convert_one(bits: u64, to: Ty, from: Ty, mode: Mode, integral: bool, wide_to: bool) -> u64 {
    if !from.is_float() {
        let value = integer_of(bits, from);
        if to.is_float() {
            let format = format_of(to);
            let result = format.round(value < 0, value.unsigned_abs(), 0, mode.round);
            return match mode.sat {
                true if value <= 0 => 0,
                true => format.round_f64(1.0, Round::Nearest),
                false => result,
            };
        }
        let (least, most) = integer_bounds(to);
        let value = if mode.sat { value.clamp(least, most) } else { value };
        // A result narrower than its register is extended as its type says.
        let kept = integer_of(value as u64, to) as u64;
        return if wide_to { kept } else { kept & 0xffff_ffff };
    }
    let value = match from {
        Ty::F64 => f64::from_bits(bits),
        Ty::F32 => {
            let value = f32::from_bits(bits as u32);
            f64::from(if mode.ftz { flush32(value) } else { value })
        }
        Ty::F16 => F16.to_f64(bits & 0xffff),
        _ => BF16.to_f64(bits & 0xffff),
    };
    if to.is_int() {
        let (least, most) = integer_bounds(to);
        let rounded = to_integral(value, mode.round);
        let value = match rounded.is_nan() {
            true if from == Ty::F64 || to.bits() == 64 => integer_of(1 << (to.bits() - 1), to),
            true => 0,
            false => (rounded as i128).clamp(least, most),
        };
        return if wide_to { value as u64 } else { value as u64 & 0xffff_ffff };
    }
    let value = if integral { to_integral(value, mode.round) } else { value };
    let value = match mode.sat {
        true if value > 0.0 => value.min(1.0),
        true => 0.0,
        false => value,
    };
    match to {
        Ty::F64 if value.is_nan() => F64.round_f64(value, Round::Nearest),
        Ty::F64 => value.to_bits(),
        Ty::F32 if value.is_nan() => NAN32.into(),
        Ty::F32 => {
            let result = round32(value, mode.round);
            (if mode.ftz { flush32(result) } else { result }).to_bits().into()
        }
        Ty::Tf32 => {
            let value = if mode.relu && value < 0.0 { 0.0 } else { value };
            let bits = TF32.round_f64(value, mode.round);
            match value.is_nan() {
                true => NAN32.into(),
                false if mode.finite => TF32.finite(bits) << 13,
                false => bits << 13,
            }
        }
        to => to_half(to, mode, value).into(),
    }
}

fn format_of(ty: Ty) -> Format {
    match ty {
        Ty::F16 => F16,
        Ty::Bf16 => BF16,
        Ty::F64 => F64,
        _ => F32,
    }
}
