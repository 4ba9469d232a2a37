//! Bit fields, permutations of bytes and searches for bits, one value at a time.

use crate::ops::Int3;

pub(super) fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The highest bit that is not the sign, or all ones. `shift`: how far to shift it to the top.
pub(super) fn find_bit(a: u64, bits: u32, signed: bool, shift: bool) -> u32 {
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let negative = signed && (a as i64) < 0;
    let a = if negative { !a } else { a } & mask;
    match (a.checked_ilog2(), shift) {
        (None, _) => u32::MAX,
        (Some(at), false) => at,
        (Some(at), true) => bits - 1 - at,
    }
}

/// A field of `length` bits from `position`; above the top come the sign or zeros.
pub(super) fn extract(a: u64, bits: u32, signed: bool, position: u32, length: u32) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    let ones = |count: u32| if count >= 64 { u64::MAX } else { (1 << count) - 1 };
    let negative = signed && a >> (position + length - 1).min(bits - 1) & 1 == 1;
    let inside = length.min(bits.saturating_sub(position));
    let field = if inside == 0 { 0 } else { a >> position & ones(inside) };
    if negative { field | !ones(inside) } else { field }
}

/// `b` with the low `length` bits of `a` at `position`.
pub(super) fn insert(a: u64, b: u64, position: u32, length: u32) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    if position > 63 || length == 0 {
        return b;
    }
    let mask = if length > 63 { u64::MAX } else { (1 << length) - 1 } << position;
    b & !mask | a << position & mask
}

/// `length` ones from `position`.
pub(super) fn bit_mask(position: u32, length: u32, wrap: bool) -> u32 {
    let (position, length) = match wrap {
        true => (position & 31, length & 31),
        false => (position.min(32), length.min(32)),
    };
    let ones = (1u64 << length) - 1;
    (ones << position) as u32
}

/// The position of the n-th set bit from `base`, downwards for negative n.
pub(super) fn find_nth_set(mask: u32, base: u32, offset: u32) -> u32 {
    let offset = offset as i32;
    let base = base & 31;
    if offset == 0 {
        return if mask >> base & 1 == 1 { base } else { u32::MAX };
    }
    let (mut at, mut left) = (base as i32, offset.unsigned_abs());
    while (0..32).contains(&at) {
        left -= mask >> at & 1;
        if left == 0 {
            return at as u32;
        }
        at += offset.signum();
    }
    u32::MAX
}

/// Bytes of the pair (b, a), picked by c.
pub(super) fn permute(op: Int3, a: u32, b: u32, c: u32) -> u32 {
    let bytes = join(a, b).to_le_bytes();
    let pick = |selector: u32| {
        let byte = bytes[(selector & 7) as usize];
        // The selector's top bit replicates the byte's sign.
        if selector & 8 != 0 { (byte as i8 >> 7) as u8 } else { byte }
    };
    let by = |picks: [u32; 4]| u32::from_le_bytes(picks.map(pick));
    let n = c & 3;
    match op {
        Int3::PrmtF4e => by([n, n + 1, n + 2, n + 3]),
        Int3::PrmtB4e => by([n, (n + 7) & 7, (n + 6) & 7, (n + 5) & 7]),
        Int3::PrmtRc8 => by([n; 4]),
        Int3::PrmtEcl => by([n, n.max(1), n.max(2), 3]),
        Int3::PrmtEcr => by([0, n.min(1), n.min(2), n]),
        Int3::PrmtRc16 => {
            let low = (c & 1) * 2;
            by([low, low + 1, low, low + 1])
        }
        _ => by([c & 15, c >> 4 & 15, c >> 8 & 15, c >> 12 & 15]),
    }
}
