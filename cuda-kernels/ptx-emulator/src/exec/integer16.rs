//! 16-bit integers, one value at a time.

use super::bits::find_bit;
use crate::ops::Int;

pub(super) fn extend16(signed: bool, x: u32) -> i64 {
    if signed { i64::from(x as u16 as i16) } else { i64::from(x as u16) }
}

/// 16-bit operations; `mul.wide` gives 32 bits.
pub(super) fn integer16(op: Int, signed: bool, a: u32, b: u32) -> u32 {
    let amount = b;
    let (a, b) = (extend16(signed, a), extend16(signed, b));
    let bits = a as u16;
    let result = match op {
        Int::Add => a + b,
        Int::Sub => a - b,
        Int::AddSat => (a + b).clamp(-0x8000, 0x7fff),
        Int::SubSat => (a - b).clamp(-0x8000, 0x7fff),
        Int::MulLo => a * b,
        Int::MulHi => (a * b) >> 16,
        Int::MulWide => return (a * b) as u32,
        Int::Mul24Lo | Int::Mul24Hi => 0,
        Int::Div => a.checked_div(b).unwrap_or(-1),
        Int::Rem => a.checked_rem(b).unwrap_or(a),
        Int::Min => a.min(b),
        Int::Max => a.max(b),
        Int::MinRelu => a.min(b).max(0),
        Int::MaxRelu => a.max(b).max(0),
        Int::Neg => -a,
        Int::Abs => a.abs(),
        Int::Shl => a << amount.min(16),
        Int::Shr => a >> amount.min(16),
        Int::Popc => bits.count_ones().into(),
        Int::Clz => bits.leading_zeros().into(),
        Int::Brev => bits.reverse_bits().into(),
        Int::Cnot => i64::from(bits == 0),
        Int::Bfind | Int::BfindShift => {
            return find_bit(a as u64, 16, signed, op == Int::BfindShift);
        }
    };
    result as u32 & 0xffff
}
