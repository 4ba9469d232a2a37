//! Floating point. The common forms (to nearest, no `.ftz`, no `.sat`) run as vector loops, the
//! others lane by lane through [`single`], [`double`] and [`half`].

use isa::multiversion;

use crate::approx;
use crate::numeric::{
    BF16, F16, Format, NAN32, add64, bits32, canonical32, div_odd, div64, flush32, fma_odd, fma64,
    mul64, round32, sqrt_odd, sqrt64,
};
use crate::ops::{Float, Instruction, Mode, Round};
use crate::types::Ty;
use crate::warp::Warp;

impl Warp {
    /// A float operation of any type.
    #[inline(always)]
    pub fn float(&mut self, i: &Instruction, op: Float, ty: Ty, mode: Mode, active: u32) {
        if ty == Ty::F32 && mode == Mode::PLAIN {
            return self.float32(i, op, active);
        }
        self.float_any(i, op, ty, mode, active);
    }

    /// Single precision, to nearest.
    #[inline(always)]
    fn float32(&mut self, i: &Instruction, op: Float, active: u32) {
        let f = f32::from_bits;
        let bits = bits32;
        match op {
            Float::Fma => self.word3(i, active, |a, b, c| bits(f(a).mul_add(f(b), f(c)))),
            Float::Add => self.word2(i, active, |a, b| bits(f(a) + f(b))),
            Float::Sub => self.word2(i, active, |a, b| bits(f(a) - f(b))),
            Float::Mul => self.word2(i, active, |a, b| bits(f(a) * f(b))),
            Float::Div => self.word2(i, active, |a, b| bits(f(a) / f(b))),
            Float::DivApprox => self.word2(i, active, |a, b| bits(approx::div(f(a), f(b)))),
            Float::Rcp | Float::RcpApprox => self.word1(i, active, |a| bits(1.0 / f(a))),
            Float::Sqrt | Float::SqrtApprox => self.word1(i, active, |a| bits(f(a).sqrt())),
            Float::RsqrtApprox => self.word1(i, active, |a| bits(approx::rsqrt(f(a)))),
            Float::Ex2 => self.word1(i, active, |a| bits(approx::ex2(f(a)))),
            Float::Min => self.word2(i, active, |a, b| min32(f(a), f(b))),
            Float::Max => self.word2(i, active, |a, b| max32(f(a), f(b))),
            Float::Neg => self.word1(i, active, |a| a ^ 0x8000_0000),
            Float::Abs => self.word1(i, active, |a| a & 0x7fff_ffff),
            Float::CopySign => {
                self.word2(i, active, |a, b| b & 0x7fff_ffff | a & 0x8000_0000);
            }
            _ => self.float_any(i, op, Ty::F32, Mode::PLAIN, active),
        }
    }

    #[multiversion(self.isa)]
    fn float_any(&mut self, i: &Instruction, op: Float, ty: Ty, mode: Mode, active: u32) {
        match ty {
            Ty::F32 if mode == (Mode { ftz: true, ..Mode::PLAIN }) && op == Float::Ex2 => {
                self.word1(i, active, |a| bits32(flush32(approx::ex2(flush32(f32::from_bits(a))))));
            }
            // Of `expf`.
            Ty::F32 if mode == (Mode { round: Round::Down, ..Mode::PLAIN }) && op == Float::Fma => {
                self.word3(i, active, |a, b, c| {
                    let [a, b, c] = [a, b, c].map(|x| f64::from(f32::from_bits(x)));
                    bits32(round32(fma_odd(a, b, c, Round::Down), Round::Down))
                });
            }
            Ty::F32 => self.word3(i, active, |a, b, c| {
                single(op, mode, f32::from_bits(a), f32::from_bits(b), f32::from_bits(c))
            }),
            Ty::F64 => self.long3(i, active, |a, b, c| {
                double(op, mode.round, f64::from_bits(a), f64::from_bits(b), f64::from_bits(c))
                    .to_bits()
            }),
            Ty::F16 | Ty::Bf16 => {
                let format = if ty == Ty::F16 { F16 } else { BF16 };
                self.word3(i, active, |a, b, c| {
                    half(format, op, mode, a & 0xffff, b & 0xffff, c & 0xffff)
                });
            }
            _ => {
                let format = if ty == Ty::F16x2 { F16 } else { BF16 };
                self.word3(i, active, |a, b, c| {
                    let low = half(format, op, mode, a & 0xffff, b & 0xffff, c & 0xffff);
                    low | half(format, op, mode, a >> 16, b >> 16, c >> 16) << 16
                });
            }
        }
    }
}

/// The smaller one; a NaN loses, -0 is smaller than +0.
#[inline(always)]
pub(super) fn min32(a: f32, b: f32) -> u32 {
    let (ab, bb) = (a.to_bits(), b.to_bits());
    let smaller = if a < b { ab } else { bb };
    let smaller = if a == b { ab | bb } else { smaller };
    let smaller = if b.is_nan() { ab } else { smaller };
    if a.is_nan() && b.is_nan() { NAN32 } else { smaller }
}

/// The larger one; a NaN loses, -0 is smaller than +0.
#[inline(always)]
pub(super) fn max32(a: f32, b: f32) -> u32 {
    let (ab, bb) = (a.to_bits(), b.to_bits());
    let larger = if a > b { ab } else { bb };
    let larger = if a == b { ab & bb } else { larger };
    let larger = if b.is_nan() { ab } else { larger };
    if a.is_nan() && b.is_nan() { NAN32 } else { larger }
}

/// One lane in single precision, all modes.
fn single(op: Float, mode: Mode, a: f32, b: f32, c: f32) -> u32 {
    let flush = |x: f32| if mode.ftz { flush32(x) } else { x };
    let (a, b, c) = (flush(a), flush(b), flush(c));
    let (wa, wb, wc) = (f64::from(a), f64::from(b), f64::from(c));
    let to = |x: f64| round32(x, mode.round);
    let nearest = mode.round == Round::Nearest;
    let result = match op {
        Float::Add if nearest => a + b,
        Float::Sub if nearest => a - b,
        Float::Mul if nearest => a * b,
        Float::Fma if nearest => a.mul_add(b, c),
        Float::Div if nearest => a / b,
        Float::Sqrt if nearest => a.sqrt(),
        Float::Rcp if nearest => 1.0 / a,
        Float::Add => to(fma_odd(wa, 1.0, wb, mode.round)),
        Float::Sub => to(fma_odd(wa, 1.0, -wb, mode.round)),
        // A product of two f32 is exact in f64.
        Float::Mul => to(wa * wb),
        Float::Fma => to(fma_odd(wa, wb, wc, mode.round)),
        Float::Div => to(div_odd(wa, wb)),
        Float::Sqrt => to(sqrt_odd(wa)),
        Float::Rcp => to(div_odd(1.0, wa)),
        Float::DivApprox => approx::div(a, b),
        Float::RcpApprox => 1.0 / a,
        Float::SqrtApprox => a.sqrt(),
        Float::RsqrtApprox => approx::rsqrt(a),
        Float::Ex2 => approx::ex2(a),
        Float::Lg2 => approx::lg2(a),
        Float::Sin => approx::sin(a),
        Float::Cos => approx::cos(a),
        Float::Tanh => approx::tanh(a),
        Float::Min => f32::from_bits(min32(a, b)),
        Float::Max => f32::from_bits(max32(a, b)),
        Float::MinNan | Float::MaxNan | Float::MinNanXor | Float::MaxNanXor
            if a.is_nan() || b.is_nan() =>
        {
            f32::NAN
        }
        Float::MinNan => f32::from_bits(min32(a, b)),
        Float::MaxNan => f32::from_bits(max32(a, b)),
        Float::MinXor | Float::MaxXor | Float::MinNanXor | Float::MaxNanXor => {
            let sign = (a.to_bits() ^ b.to_bits()) & 0x8000_0000;
            let least = matches!(op, Float::MinXor | Float::MinNanXor);
            let pick = if least { min32 } else { max32 };
            f32::from_bits(pick(a.abs(), b.abs()) | sign)
        }
        Float::Neg => -a,
        Float::Abs => a.abs(),
        Float::CopySign => b.copysign(a),
    };
    let sign_only = matches!(op, Float::Neg | Float::Abs | Float::CopySign);
    let result = flush(result);
    if mode.sat {
        // NaN saturates to +0.
        return if result > 0.0 { result.min(1.0).to_bits() } else { 0 };
    }
    let bits = result.to_bits();
    if sign_only { bits } else { canonical32(bits) }
}

/// One lane in double precision. A NaN operand comes out quiet.
fn double(op: Float, round: Round, a: f64, b: f64, c: f64) -> f64 {
    let result = match op {
        Float::Add => add64(a, b, round),
        Float::Sub => add64(a, -b, round),
        Float::Mul => mul64(a, b, round),
        Float::Fma => fma64(a, b, c, round),
        Float::Div => div64(a, b, round),
        Float::Rcp => div64(1.0, a, round),
        Float::Sqrt => sqrt64(a, round),
        Float::RcpApprox => approx::rcp64(a),
        Float::RsqrtApprox => approx::rsqrt64(a),
        Float::Min | Float::Max => {
            let pick_a = if op == Float::Min { a < b } else { a > b };
            return match (a.is_nan(), b.is_nan()) {
                (true, true) => f64::NAN,
                (true, false) => b,
                (false, true) => a,
                _ if a == b && op == Float::Min => f64::from_bits(a.to_bits() | b.to_bits()),
                _ if a == b => f64::from_bits(a.to_bits() & b.to_bits()),
                _ if pick_a => a,
                _ => b,
            };
        }
        Float::Neg => return -a,
        Float::Abs => return a.abs(),
        Float::CopySign => return b.copysign(a),
        _ => f64::NAN,
    };
    if !result.is_nan() {
        return result;
    }
    let used = match op {
        Float::Fma => 3,
        Float::Add | Float::Sub | Float::Mul | Float::Div => 2,
        _ => 1,
    };
    let first = [a, b, c].into_iter().take(used).find(|x| x.is_nan());
    f64::from_bits(first.map_or(0xfff8_0000_0000_0000, |x| x.to_bits() | 1 << 51))
}

/// One lane in half precision (either kind), computed exactly enough in double and rounded once.
fn half(format: Format, op: Float, mode: Mode, a: u32, b: u32, c: u32) -> u32 {
    let flush = |bits: u32| if mode.ftz { format.flush(bits.into()) as u32 } else { bits };
    let [a, b, c] = [a, b, c].map(flush);
    match op {
        Float::Neg => return a ^ 0x8000,
        Float::Abs => return a & 0x7fff,
        _ => {}
    }
    let [x, y, z] = [a, b, c].map(|bits| format.to_f64(bits.into()));
    let result = match op {
        Float::Add => fma_odd(x, 1.0, y, Round::Nearest),
        Float::Sub => fma_odd(x, 1.0, -y, Round::Nearest),
        Float::Mul => x * y,
        Float::Fma => fma_odd(x, y, z, Round::Nearest),
        Float::Ex2 => f64::from(approx::ex2(x as f32)),
        Float::Tanh => f64::from(approx::tanh(x as f32)),
        Float::MinNanXor
        | Float::MaxNanXor
        | Float::Min
        | Float::MinNan
        | Float::MinXor
        | Float::Max
        | Float::MaxNan
        | Float::MaxXor => {
            f64::from(f32::from_bits(single(op, Mode::PLAIN, x as f32, y as f32, 0.0)))
        }
        _ => f64::NAN,
    };
    let result = if mode.sat { if result > 0.0 { result.min(1.0) } else { 0.0 } } else { result };
    let result = if mode.relu && result < 0.0 { 0.0 } else { result };
    flush(format.round_f64(result, Round::Nearest) as u32)
}
