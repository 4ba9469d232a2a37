//! Integers and bits. The corner cases are those of the PTX ISA: shifts clamp at the width,
//! a division by zero gives all ones, a remainder by zero the dividend.

use isa::multiversion;

use super::bits::{bit_mask, extract, find_bit, find_nth_set, insert, join, permute};
use super::integer16::{extend16, integer16};
use crate::ops::{Instruction, Int, Int3, Logic};
use crate::types::{Class, Ty};
use crate::warp::{LANES, Warp};

impl Warp {
    /// Bit operations and moves.
    #[inline(always)]
    pub fn logic(&mut self, i: &Instruction, logic: Logic, class: Class, active: u32) {
        match class {
            Class::Word => match logic {
                Logic::And => self.word2(i, active, |a, b| a & b),
                Logic::Or => self.word2(i, active, |a, b| a | b),
                Logic::Xor => self.word2(i, active, |a, b| a ^ b),
                Logic::Not => self.word1(i, active, |a| !a),
                Logic::Mov => self.word1(i, active, |a| a),
            },
            Class::Long => match logic {
                Logic::And => self.long2(i, active, |a, b| a & b),
                Logic::Or => self.long2(i, active, |a, b| a | b),
                Logic::Xor => self.long2(i, active, |a, b| a ^ b),
                Logic::Not => self.long1(i, active, |a| !a),
                Logic::Mov => self.long1(i, active, |a| a),
            },
            Class::Pred => {
                let a = self.preds[i.a as usize];
                let bits = match logic {
                    Logic::And => a & self.preds[i.b as usize],
                    Logic::Or => a | self.preds[i.b as usize],
                    Logic::Xor => a ^ self.preds[i.b as usize],
                    Logic::Not => !a,
                    Logic::Mov => a,
                };
                self.set_pred(i.d, active, bits);
            }
        }
    }

    /// One or two operands.
    #[inline(always)]
    pub fn integer(&mut self, i: &Instruction, op: Int, ty: Ty, active: u32) {
        let signed = ty.is_signed();
        match ty.bits() {
            32 if matches!(ty, Ty::U16x2 | Ty::S16x2) => self.word2(i, active, |a, b| {
                let half = |shift: u32| integer16(op, signed, a >> shift, b >> shift) << shift;
                half(0) | half(16)
            }),
            32 => self.integer32(i, op, signed, active),
            64 => self.integer64(i, op, signed, active),
            _ => self.word2(i, active, |a, b| integer16(op, signed, a, b)),
        }
    }

    #[inline(always)]
    fn integer32(&mut self, i: &Instruction, op: Int, signed: bool, active: u32) {
        let s = |x: u32| x as i32;
        match op {
            Int::Add => self.word2(i, active, u32::wrapping_add),
            Int::Sub => self.word2(i, active, u32::wrapping_sub),
            Int::AddSat => self.word2(i, active, |a, b| s(a).saturating_add(s(b)) as u32),
            Int::SubSat => self.word2(i, active, |a, b| s(a).saturating_sub(s(b)) as u32),
            Int::MulLo => self.word2(i, active, u32::wrapping_mul),
            Int::MulHi if signed => {
                self.word2(i, active, |a, b| ((i64::from(s(a)) * i64::from(s(b))) >> 32) as u32);
            }
            Int::MulHi => {
                self.word2(i, active, |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32)
            }
            Int::MulWide => self.multiply_wide(i, signed, active),
            Int::Mul24Lo | Int::Mul24Hi => {
                let shift = if op == Int::Mul24Lo { 0 } else { 16 };
                self.word2(i, active, |a, b| (product24(signed, a, b) >> shift) as u32);
            }
            Int::Div if signed => self.word2(i, active, |a, b| match s(b) {
                0 => u32::MAX,
                b => s(a).wrapping_div(b) as u32,
            }),
            Int::Div => self.word2(i, active, |a, b| a.checked_div(b).unwrap_or(u32::MAX)),
            Int::Rem if signed => self.word2(i, active, |a, b| match s(b) {
                0 => a,
                b => s(a).wrapping_rem(b) as u32,
            }),
            Int::Rem => self.word2(i, active, |a, b| a.checked_rem(b).unwrap_or(a)),
            Int::Min if signed => self.word2(i, active, |a, b| s(a).min(s(b)) as u32),
            Int::Max if signed => self.word2(i, active, |a, b| s(a).max(s(b)) as u32),
            Int::Min => self.word2(i, active, u32::min),
            Int::Max => self.word2(i, active, u32::max),
            Int::MinRelu => self.word2(i, active, |a, b| s(a).min(s(b)).max(0) as u32),
            Int::MaxRelu => self.word2(i, active, |a, b| s(a).max(s(b)).max(0) as u32),
            Int::Neg => self.word1(i, active, u32::wrapping_neg),
            Int::Abs => self.word1(i, active, |a| s(a).wrapping_abs() as u32),
            Int::Shl => self.word2(i, active, |a, b| if b > 31 { 0 } else { a << (b & 31) }),
            Int::Shr if signed => self.word2(i, active, |a, b| (s(a) >> b.min(31)) as u32),
            Int::Shr => self.word2(i, active, |a, b| if b > 31 { 0 } else { a >> (b & 31) }),
            Int::Popc => self.word1(i, active, u32::count_ones),
            Int::Clz => self.word1(i, active, u32::leading_zeros),
            Int::Brev => self.word1(i, active, u32::reverse_bits),
            Int::Cnot => self.word1(i, active, |a| u32::from(a == 0)),
            Int::Bfind | Int::BfindShift => {
                let shift = op == Int::BfindShift;
                self.word1(i, active, |a| {
                    find_bit(if signed { s(a) as i64 as u64 } else { a.into() }, 32, signed, shift)
                });
            }
        }
    }

    /// `cvt.pack.sat`.
    pub fn pack_saturated(&mut self, i: &Instruction, bits: u8, signed: bool, active: u32) {
        let (least, most) = match signed {
            true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            false => (0, (1 << bits) - 1),
        };
        let mask = (1u32 << bits) - 1;
        self.word3(i, active, |a, b, c| {
            let [a, b] = [a, b].map(|x| (x as i32).clamp(least, most) as u32 & mask);
            c.checked_shl(2 * u32::from(bits)).unwrap_or(0) | a << bits | b
        });
    }

    #[inline(always)]
    fn multiply_wide(&mut self, i: &Instruction, signed: bool, active: u32) {
        let (a, b) = (&self.words[i.a as usize], &self.words[i.b as usize]);
        let mut row = [0; LANES];
        if signed {
            for lane in 0..LANES {
                row[lane] = (i64::from(a[lane] as i32) * i64::from(b[lane] as i32)) as u64;
            }
        } else {
            for lane in 0..LANES {
                row[lane] = u64::from(a[lane]) * u64::from(b[lane]);
            }
        }
        self.set_longs(i.d, active, row);
    }

    #[inline(always)]
    fn integer64(&mut self, i: &Instruction, op: Int, signed: bool, active: u32) {
        let s = |x: u64| x as i64;
        match op {
            Int::Add => self.long2(i, active, u64::wrapping_add),
            Int::Sub => self.long2(i, active, u64::wrapping_sub),
            Int::AddSat => self.long2(i, active, |a, b| s(a).saturating_add(s(b)) as u64),
            Int::SubSat => self.long2(i, active, |a, b| s(a).saturating_sub(s(b)) as u64),
            Int::MulLo | Int::MulWide => self.long2(i, active, u64::wrapping_mul),
            Int::MulHi if signed => {
                self.long2(i, active, |a, b| ((i128::from(s(a)) * i128::from(s(b))) >> 64) as u64);
            }
            Int::MulHi => {
                self.long2(i, active, |a, b| ((u128::from(a) * u128::from(b)) >> 64) as u64);
            }
            Int::Mul24Lo | Int::Mul24Hi => {}
            Int::Div if signed => self.long2(i, active, |a, b| match s(b) {
                0 => u64::MAX,
                b => s(a).wrapping_div(b) as u64,
            }),
            Int::Div => self.long2(i, active, |a, b| a.checked_div(b).unwrap_or(u64::MAX)),
            Int::Rem if signed => self.long2(i, active, |a, b| match s(b) {
                0 => a,
                b => s(a).wrapping_rem(b) as u64,
            }),
            Int::Rem => self.long2(i, active, |a, b| a.checked_rem(b).unwrap_or(a)),
            Int::Min if signed => self.long2(i, active, |a, b| s(a).min(s(b)) as u64),
            Int::Max if signed => self.long2(i, active, |a, b| s(a).max(s(b)) as u64),
            Int::Min => self.long2(i, active, u64::min),
            Int::Max => self.long2(i, active, u64::max),
            Int::MinRelu => self.long2(i, active, |a, b| s(a).min(s(b)).max(0) as u64),
            Int::MaxRelu => self.long2(i, active, |a, b| s(a).max(s(b)).max(0) as u64),
            Int::Neg => self.long1(i, active, u64::wrapping_neg),
            Int::Abs => self.long1(i, active, |a| s(a).wrapping_abs() as u64),
            Int::Shl => self.long_word(i, active, |a, b| if b > 63 { 0 } else { a << (b & 63) }),
            Int::Shr if signed => {
                self.long_word(i, active, |a, b| (s(a) >> b.min(63)) as u64);
            }
            Int::Shr => self.long_word(i, active, |a, b| if b > 63 { 0 } else { a >> (b & 63) }),
            Int::Popc => self.narrow(i, active, u64::count_ones),
            Int::Clz => self.narrow(i, active, u64::leading_zeros),
            Int::Brev => self.long1(i, active, u64::reverse_bits),
            Int::Cnot => self.long1(i, active, |a| u64::from(a == 0)),
            Int::Bfind | Int::BfindShift => {
                let shift = op == Int::BfindShift;
                self.narrow(i, active, |a| find_bit(a, 64, signed, shift));
            }
        }
    }

    /// Three or four operands.
    #[multiversion(self.isa)]
    pub fn integer3(
        &mut self,
        i: &Instruction,
        op: Int3,
        ty: Ty,
        fourth: Option<u16>,
        active: u32,
    ) {
        let signed = ty.is_signed();
        let s = |x: u32| x as i32;
        match (op, ty.bits()) {
            (Int3::MadLo, 32) => self.word3(i, active, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
            (Int3::MadLo, 64) => self.long3(i, active, |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
            (Int3::MadLo, _) => {
                self.word3(i, active, |a, b, c| a.wrapping_mul(b).wrapping_add(c) & 0xffff);
            }
            (Int3::MadHi, 64) => self.long3(i, active, |a, b, c| {
                let high = match signed {
                    true => ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64,
                    false => ((u128::from(a) * u128::from(b)) >> 64) as u64,
                };
                high.wrapping_add(c)
            }),
            (Int3::MadHi, 32) => {
                self.word3(i, active, |a, b, c| high32(signed, a, b).wrapping_add(c))
            }
            (Int3::MadHi, _) => self.word3(i, active, |a, b, c| {
                integer16(Int::MulHi, signed, a, b).wrapping_add(c) & 0xffff
            }),
            (Int3::MadHiSat, _) => {
                self.word3(i, active, |a, b, c| s(high32(signed, a, b)).saturating_add(s(c)) as u32)
            }
            (Int3::MadWide, 32) => {
                let (a, b) = (&self.words[i.a as usize], &self.words[i.b as usize]);
                let c = &self.longs[i.c as usize];
                let mut row = [0; LANES];
                for lane in 0..LANES {
                    let product = match signed {
                        true => (i64::from(s(a[lane])) * i64::from(s(b[lane]))) as u64,
                        false => u64::from(a[lane]) * u64::from(b[lane]),
                    };
                    row[lane] = product.wrapping_add(c[lane]);
                }
                self.set_longs(i.d, active, row);
            }
            (Int3::MadWide, _) => self
                .word3(i, active, |a, b, c| integer16(Int::MulWide, signed, a, b).wrapping_add(c)),
            (Int3::Mad24Lo, _) => {
                self.word3(i, active, |a, b, c| (product24(signed, a, b) as u32).wrapping_add(c));
            }
            (Int3::Mad24Hi, _) => self.word3(i, active, |a, b, c| {
                ((product24(signed, a, b) >> 16) as u32).wrapping_add(c)
            }),
            (Int3::Mad24HiSat, _) => self.word3(i, active, |a, b, c| {
                let high = (product24(signed, a, b) >> 16) as u32 as i32;
                high.saturating_add(c as i32) as u32
            }),
            (Int3::Sad, 64) => self.long3(i, active, |a, b, c| {
                let distance = if signed { (a as i64).abs_diff(b as i64) } else { a.abs_diff(b) };
                c.wrapping_add(distance)
            }),
            (Int3::Sad, 32) => self.word3(i, active, |a, b, c| {
                c.wrapping_add(if signed { s(a).abs_diff(s(b)) } else { a.abs_diff(b) })
            }),
            (Int3::Sad, _) => self.word3(i, active, |a, b, c| {
                let (a, b) = (extend16(signed, a), extend16(signed, b));
                c.wrapping_add(a.abs_diff(b) as u32) & 0xffff
            }),
            (Int3::Bfe, 64) => {
                let (a, b) = (&self.longs[i.a as usize], &self.words[i.b as usize]);
                let c = &self.words[i.c as usize];
                let row =
                    std::array::from_fn(|lane| extract(a[lane], 64, signed, b[lane], c[lane]));
                self.set_longs(i.d, active, row);
            }
            (Int3::Bfe, _) => {
                self.word3(i, active, |a, b, c| extract(a.into(), 32, signed, b, c) as u32);
            }
            (Int3::Bfi, bits) => {
                let Some(length) = fourth else { return };
                let (at, length) = (self.words[i.c as usize], self.words[length as usize]);
                if bits == 64 {
                    let (a, b) = (&self.longs[i.a as usize], &self.longs[i.b as usize]);
                    let row = std::array::from_fn(|lane| {
                        insert(a[lane], b[lane], at[lane], length[lane])
                    });
                    self.set_longs(i.d, active, row);
                } else {
                    let (a, b) = (&self.words[i.a as usize], &self.words[i.b as usize]);
                    let row = std::array::from_fn(|lane| {
                        insert(a[lane].into(), b[lane].into(), at[lane], length[lane]) as u32
                    });
                    self.set_words(i.d, active, row);
                }
            }
            (Int3::ShfLeftClamp, _) => {
                self.word3(i, active, |a, b, c| ((join(a, b) << c.min(32)) >> 32) as u32);
            }
            (Int3::ShfLeftWrap, _) => {
                self.word3(i, active, |a, b, c| ((join(a, b) << (c & 31)) >> 32) as u32);
            }
            (Int3::ShfRightClamp, _) => {
                self.word3(i, active, |a, b, c| (join(a, b) >> c.min(32)) as u32);
            }
            (Int3::ShfRightWrap, _) => {
                self.word3(i, active, |a, b, c| (join(a, b) >> (c & 31)) as u32);
            }
            (Int3::Lop3, _) => {
                let table = i.imm as u32;
                let all = |bit: u32| 0u32.wrapping_sub(table >> bit & 1);
                self.word3(i, active, |a, b, c| {
                    (all(0) & !a & !b & !c)
                        | (all(1) & !a & !b & c)
                        | (all(2) & !a & b & !c)
                        | (all(3) & !a & b & c)
                        | (all(4) & a & !b & !c)
                        | (all(5) & a & !b & c)
                        | (all(6) & a & b & !c)
                        | (all(7) & a & b & c)
                });
            }
            (Int3::Slct | Int3::SlctF | Int3::SlctFtz, bits) => {
                let first = |c: u32| match op {
                    Int3::Slct => s(c) >= 0,
                    Int3::SlctFtz => crate::numeric::flush32(f32::from_bits(c)) >= 0.0,
                    _ => f32::from_bits(c) >= 0.0,
                };
                if bits == 64 {
                    let (a, b) = (&self.longs[i.a as usize], &self.longs[i.b as usize]);
                    let c = &self.words[i.c as usize];
                    let pick = |lane: usize| if first(c[lane]) { a[lane] } else { b[lane] };
                    let row = std::array::from_fn(pick);
                    self.set_longs(i.d, active, row);
                } else {
                    self.word3(i, active, |a, b, c| if first(c) { a } else { b });
                }
            }
            (Int3::Fns, _) => self.word3(i, active, find_nth_set),
            (Int3::Bmsk | Int3::BmskWrap, _) => {
                let wrap = op == Int3::BmskWrap;
                self.word2(i, active, |a, b| bit_mask(a, b, wrap));
            }
            (Int3::Szext | Int3::SzextWrap, _) => {
                let wrap = op == Int3::SzextWrap;
                self.word2(i, active, |a, b| {
                    let bits = if wrap { b & 31 } else { b.min(32) };
                    match (bits, signed) {
                        (0, _) => 0,
                        (bits, true) => (s(a) << (32 - bits) >> (32 - bits)) as u32,
                        (bits, false) => a << (32 - bits) >> (32 - bits),
                    }
                });
            }
            (_, _) => self.word3(i, active, |a, b, c| permute(op, a, b, c)),
        }
    }

    /// Sums of products of bytes, or of halves with bytes.
    pub fn dot(&mut self, i: &Instruction, ways: u8, signed: [bool; 2], high: bool, active: u32) {
        let field = |x: u32, bits: u32, at: u32, signed: bool| {
            let part = x >> (at * bits) & ((1 << bits) - 1);
            match signed {
                true => (part << (32 - bits)) as i32 >> (32 - bits),
                false => part as i32,
            }
        };
        self.word3(i, active, |a, b, c| {
            (0..u32::from(ways)).fold(c, |sum, at| {
                let a = field(a, if ways == 4 { 8 } else { 16 }, at, signed[0]);
                let b = field(b, 8, at + if high { 2 } else { 0 }, signed[1]);
                sum.wrapping_add(a.wrapping_mul(b) as u32)
            })
        });
    }
}

fn high32(signed: bool, a: u32, b: u32) -> u32 {
    match signed {
        true => ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32,
        false => ((u64::from(a) * u64::from(b)) >> 32) as u32,
    }
}

/// The product of the low 24 bits: 48 bits.
fn product24(signed: bool, a: u32, b: u32) -> u64 {
    match signed {
        true => (i64::from((a << 8) as i32 >> 8) * i64::from((b << 8) as i32 >> 8)) as u64,
        false => u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff),
    }
}
