//! Floats of 8 bits: e4m3, which has no infinity and one NaN, and e5m2, which is IEEE's.

use super::env::Env;
use crate::numeric::{F16, Format};
use crate::ops::{Instruction, Mode, Round};
use crate::types::Ty;
use crate::warp::Warp;

const E4M3: Format = Format { fraction: 3, exponent: 4 };
const E5M2: Format = Format { fraction: 2, exponent: 5 };

/// The value of a float of 8 bits, one of a pair perhaps.
pub(super) fn value(ty: Ty, bits: u8) -> f64 {
    if matches!(ty, Ty::E5m2 | Ty::E5m2x2) {
        return E5M2.to_f64(bits.into());
    }
    match bits & 0x7f {
        0x7f => f64::NAN,
        // The binade that IEEE's formats keep for infinity and NaN: from 256, in steps of 32.
        high @ 0x78.. => f64::from(high - 0x70) * 32.0 * if bits > 0x7f { -1.0 } else { 1.0 },
        _ => E4M3.to_f64(bits.into()),
    }
}

/// The nearest float of 8 bits; beyond the largest one, that one (`.satfinite`).
fn round(ty: Ty, value: f64, relu: bool) -> u32 {
    if value.is_nan() {
        return 0x7f;
    }
    let value = if relu && value < 0.0 { 0.0 } else { value };
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    let size = value.abs();
    let bits = match ty {
        Ty::E5m2 | Ty::E5m2x2 => (E5M2.round_f64(size, Round::Nearest) as u32).min(0x7b),
        _ if size >= 256.0 => (0x70 + (size / 32.0).round_ties_even().min(14.0) as u32).min(0x7e),
        // What rounds up to 256 is the first of the upper binade.
        _ => (E4M3.round_f64(size, Round::Nearest) as u32).min(0x78),
    };
    sign | bits
}

impl Env<'_> {
    /// `cvt` to or from two floats of 8 bits: the upper and the lower ones correspond.
    pub(super) fn convert_fp8(
        &self,
        warp: &mut Warp,
        i: &Instruction,
        (to, from): (Ty, Ty),
        mode: Mode,
        active: u32,
    ) {
        let half = |bits: u32, at: u32| F16.to_f64((bits >> (16 * at) & 0xffff).into());
        match (to, from) {
            (to, Ty::F32) => warp.word2(i, active, |a, b| {
                let [a, b] = [a, b].map(|bits| f64::from(f32::from_bits(bits)));
                round(to, a, mode.relu) << 8 | round(to, b, mode.relu)
            }),
            (Ty::F16x2, from) => warp.word1(i, active, |a| {
                let one = |byte: u32| {
                    let value = value(from, byte as u8);
                    let value = if mode.relu && value < 0.0 { 0.0 } else { value };
                    F16.round_f64(value, Round::Nearest) as u32
                };
                one(a >> 8) << 16 | one(a)
            }),
            (to, _) => warp.word1(i, active, |a| {
                round(to, half(a, 1), mode.relu) << 8 | round(to, half(a, 0), mode.relu)
            }),
        }
    }
}
