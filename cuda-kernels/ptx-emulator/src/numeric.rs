//! Rounding: one exact value to any format in any direction, and the arithmetic that needs it.
//!
//! Rounding to nearest is what the processor does. The directed forms of f32 take the exact result as
//! a sum of two numbers (Dekker's and Knuth's error-free transformations), round it to odd in f64,
//! which keeps all a narrower format needs, and round that once. Those of f64 compute with integers
//! of 128 bits, the last of them odd where something is cut off.

use super::ops::Round;

/// The NaN that single precision produces.
pub const NAN32: u32 = 0x7fff_ffff;

/// A binary floating-point format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Bits of the fraction.
    pub fraction: u32,
    /// Bits of the exponent.
    pub exponent: u32,
}

/// IEEE half precision.
pub const F16: Format = Format { fraction: 10, exponent: 5 };
/// The upper half of single precision.
pub const BF16: Format = Format { fraction: 7, exponent: 8 };
/// Single precision with 10 bits of fraction.
pub const TF32: Format = Format { fraction: 10, exponent: 8 };
/// IEEE single precision.
pub const F32: Format = Format { fraction: 23, exponent: 8 };
/// IEEE double precision.
pub const F64: Format = Format { fraction: 52, exponent: 11 };

impl Format {
    /// The bits of infinity.
    fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }

    /// The bits of a number, those of the largest finite one instead of infinity.
    pub fn finite(self, bits: u64) -> u64 {
        let sign = 1 << (self.fraction + self.exponent);
        bits & sign | (bits & !sign).min(self.infinity() - 1)
    }

    /// The bits of a number, those of a zero of its sign if it is subnormal.
    pub fn flush(self, bits: u64) -> u64 {
        let sign = 1 << (self.fraction + self.exponent);
        if bits & self.infinity() == 0 { bits & sign } else { bits }
    }

    /// Rounds `magnitude 2^exponent` with a sign to the format's bits.
    pub fn round(self, negative: bool, magnitude: u128, exponent: i32, round: Round) -> u64 {
        let sign = u64::from(negative) << (self.fraction + self.exponent);
        if magnitude == 0 {
            return sign;
        }
        let bias = (1 << (self.exponent - 1)) - 1;
        let top = 127 - magnitude.leading_zeros() as i32 + exponent;
        // The unit in the last place, and its distance above the magnitude's last bit.
        let unit = top.max(1 - bias) - self.fraction as i32;
        let shift = unit - exponent;
        let (mut kept, rest, half) = match shift {
            ..=0 => (magnitude << -shift, 0, 1),
            1..=127 => (magnitude >> shift, magnitude & ((1 << shift) - 1), 1 << (shift - 1)),
            _ => (0, 1, 2),
        };
        let up = match round {
            Round::Nearest => rest > half || (rest == half && kept & 1 == 1),
            Round::Away => rest >= half,
            Round::Zero => false,
            Round::Down => rest > 0 && negative,
            Round::Up => rest > 0 && !negative,
        };
        kept += u128::from(up);
        // A fraction that overflows carries into the exponent, as it should.
        let biased = (top + bias).max(1) as u128 - 1;
        let bits = (biased << self.fraction) + kept;
        let infinity = self.infinity();
        if bits < infinity.into() {
            return sign | bits as u64;
        }
        let overflow = match round {
            Round::Nearest | Round::Away => infinity,
            Round::Zero => infinity - 1,
            Round::Down => infinity - u64::from(!negative),
            Round::Up => infinity - u64::from(negative),
        };
        sign | overflow
    }

    /// Rounds an f64; NaN becomes the format's NaN with all fraction bits set.
    pub fn round_f64(self, value: f64, round: Round) -> u64 {
        if value.is_nan() {
            return self.infinity() | ((1 << self.fraction) - 1);
        }
        let negative = value.is_sign_negative();
        if value.is_infinite() {
            return u64::from(negative) << (self.fraction + self.exponent) | self.infinity();
        }
        let (magnitude, exponent) = parts(value);
        self.round(negative, magnitude.into(), exponent, round)
    }

    /// The value of the format's bits; every format here fits into f64.
    pub fn to_f64(self, bits: u64) -> f64 {
        let fraction = bits & ((1 << self.fraction) - 1);
        let exponent = (bits >> self.fraction) & ((1 << self.exponent) - 1);
        let negative = bits >> (self.fraction + self.exponent) & 1 == 1;
        let bias = (1i32 << (self.exponent - 1)) - 1;
        let magnitude = if exponent == (1 << self.exponent) - 1 {
            if fraction == 0 { f64::INFINITY } else { f64::NAN }
        } else if exponent == 0 {
            fraction as f64 * power_of_two(1 - bias - self.fraction as i32)
        } else {
            let whole = fraction | 1 << self.fraction;
            whole as f64 * power_of_two(exponent as i32 - bias - self.fraction as i32)
        };
        if negative { -magnitude } else { magnitude }
    }
}

/// Rounds an f64 to single precision: [`Format::round_f64`], but faster.
#[inline(always)]
pub fn round32(value: f64, round: Round) -> f32 {
    let nearest = value as f32;
    match round {
        Round::Down if f64::from(nearest) > value => nearest.next_down(),
        Round::Up if f64::from(nearest) < value => nearest.next_up(),
        Round::Zero if f64::from(nearest.abs()) > value.abs() => {
            f32::from_bits(nearest.to_bits() - 1)
        }
        Round::Away => f32::from_bits(F32.round_f64(value, round) as u32),
        _ => nearest,
    }
}

/// `2^exponent` for exponents of normal numbers.
pub fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// A finite f64 as `magnitude 2^exponent`, without its sign.
pub fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7ff) as i32 {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

/// An f16's value.
pub fn half_to_f32(bits: u16) -> f32 {
    F16.to_f64(bits.into()) as f32
}

/// A subnormal number becomes a zero of its sign.
pub fn flush32(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits })
}

/// The bits of a result: every NaN becomes single precision's only one.
#[inline(always)]
pub fn bits32(x: f32) -> u32 {
    if x.is_nan() { NAN32 } else { x.to_bits() }
}

/// The same of bits.
#[inline(always)]
pub fn canonical32(bits: u32) -> u32 {
    if bits & 0x7fff_ffff > 0x7f80_0000 { NAN32 } else { bits }
}

/// `hi + lo = a + b` exactly, hi the rounded sum.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let hi = a + b;
    let bb = hi - a;
    (hi, (a - (hi - bb)) + (b - bb))
}

/// `hi + lo` rounded to odd: truncated, the last bit set where something was cut off.
#[inline(always)]
fn to_odd(hi: f64, lo: f64) -> f64 {
    if lo == 0.0 || !hi.is_finite() || lo.is_nan() {
        return hi;
    }
    let towards_zero = lo.is_sign_negative() != hi.is_sign_negative();
    f64::from_bits((hi.to_bits() - u64::from(towards_zero)) | 1)
}

/// The sign of a sum that is exactly zero.
#[inline(always)]
fn zero_sum(a: f64, b: f64, round: Round) -> f64 {
    match (a.is_sign_negative(), b.is_sign_negative()) {
        (true, true) => -0.0,
        (false, false) => 0.0,
        _ if round == Round::Down => -0.0,
        _ => 0.0,
    }
}

/// `a b + c` of numbers with at most 24 bits, in a state that rounds correctly to a narrower
/// format.
#[inline(always)]
pub fn fma_odd(a: f64, b: f64, c: f64, round: Round) -> f64 {
    let product = a * b;
    let (hi, lo) = two_sum(product, c);
    if hi == 0.0 && lo == 0.0 {
        return zero_sum(product, c, round);
    }
    to_odd(hi, lo)
}

/// A quotient, rounded to odd.
pub fn div_odd(a: f64, b: f64) -> f64 {
    let quotient = a / b;
    if quotient == 0.0 || !quotient.is_finite() {
        return quotient;
    }
    // The remainder's sign tells on which side of the quotient the exact one is.
    let remainder = (-quotient).mul_add(b, a);
    to_odd(quotient, if remainder == 0.0 { 0.0 } else { remainder * b.signum() })
}

/// A square root, rounded to odd.
pub fn sqrt_odd(a: f64) -> f64 {
    let root = a.sqrt();
    if root == 0.0 || !root.is_finite() {
        return root;
    }
    to_odd(root, (-root).mul_add(root, a))
}

/// Rounds `magnitude 2^exponent` with a sign to double precision.
fn round64(negative: bool, magnitude: u128, exponent: i32, round: Round) -> f64 {
    f64::from_bits(F64.round(negative, magnitude, exponent, round))
}

/// `a + b` in double precision.
pub fn add64(a: f64, b: f64, round: Round) -> f64 {
    if round == Round::Nearest { a + b } else { fma64(a, 1.0, b, round) }
}

/// `a b` in double precision.
pub fn mul64(a: f64, b: f64, round: Round) -> f64 {
    let product = a * b;
    let exact = [a, b].iter().all(|x| x.is_finite() && *x != 0.0);
    if round == Round::Nearest || !exact {
        return product;
    }
    let ((x, at_x), (y, at_y)) = (parts(a), parts(b));
    let magnitude = u128::from(x) * u128::from(y);
    round64(product.is_sign_negative(), magnitude, at_x + at_y, round)
}

/// `a b + c` in double precision.
pub fn fma64(a: f64, b: f64, c: f64, round: Round) -> f64 {
    if round == Round::Nearest || ![a, b, c].iter().all(|x| x.is_finite()) {
        return a.mul_add(b, c);
    }
    let ((x, at_x), (y, at_y), (z, at_z)) = (parts(a), parts(b), parts(c));
    let minus = a.is_sign_negative() != b.is_sign_negative();
    let product = (minus, u128::from(x) * u128::from(y), at_x + at_y);
    let last = (c.is_sign_negative(), u128::from(z), at_z);
    match (product.1, last.1) {
        (0, 0) => return zero_sum(a * b, c, round),
        (0, _) => return c,
        (_, 0) => return round64(product.0, product.1, product.2, round),
        _ => {}
    }
    // Both with bit 125 as the highest, so the sum fits. The smaller one is rounded to odd where it
    // is cut off; the larger one then is far too large to cancel.
    let [product, last] = [product, last].map(|(minus, magnitude, exponent)| {
        let shift = magnitude.leading_zeros() as i32 - 2;
        (minus, magnitude << shift, exponent - shift)
    });
    let (large, small) = if product.2 < last.2 { (last, product) } else { (product, last) };
    let small_part = match large.2 - small.2 {
        shift @ ..126 => (small.1 >> shift) | u128::from(small.1.trailing_zeros() < shift as u32),
        _ => 1,
    };
    let signed = |minus: bool, part: u128| if minus { -(part as i128) } else { part as i128 };
    let sum = signed(large.0, large.1) + signed(small.0, small_part);
    if sum == 0 {
        return zero_sum(1.0, -1.0, round);
    }
    round64(sum < 0, sum.unsigned_abs(), large.2, round)
}

/// `a / b` in double precision.
pub fn div64(a: f64, b: f64, round: Round) -> f64 {
    let quotient = a / b;
    let exact = [a, b].iter().all(|x| x.is_finite() && *x != 0.0);
    if round == Round::Nearest || !exact {
        return quotient;
    }
    let ((x, at_x), (y, at_y)) = (parts(a), parts(b));
    let (x, y) = (u128::from(x), u128::from(y));
    let shift = x.leading_zeros() - 1;
    let (whole, rest) = ((x << shift) / y, (x << shift) % y);
    let magnitude = whole << 1 | u128::from(rest != 0);
    round64(quotient.is_sign_negative(), magnitude, at_x - at_y - shift as i32 - 1, round)
}

/// The square root in double precision.
pub fn sqrt64(a: f64, round: Round) -> f64 {
    if round == Round::Nearest || !a.is_finite() || a <= 0.0 {
        return a.sqrt();
    }
    let (x, at) = parts(a);
    let x = u128::from(x);
    let most = x.leading_zeros() as i32 - 1;
    let shift = most - (at - most).rem_euclid(2);
    let root = (x << shift).isqrt();
    let magnitude = root << 1 | u128::from(root * root != x << shift);
    round64(false, magnitude, (at - shift) / 2 - 1, round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round32_rounds_as_the_general_way_does() {
        let mut values = vec![0.0, f64::INFINITY, f64::MAX, 3.5e38, f64::from(f32::MAX)];
        // All magnitudes of single precision, beyond both ends, and what lies between neighbours.
        for exponent in -160..140 {
            for fraction in [0.0, 2e-9, 0.5f64.powi(25), 0.5f64.powi(24), 0.5f64.powi(23), 0.7] {
                values.push(2f64.powi(exponent) * (1.0 + fraction));
            }
        }
        for value in values.into_iter().flat_map(|value| [value, -value]) {
            for round in [Round::Nearest, Round::Away, Round::Zero, Round::Down, Round::Up] {
                let expected = F32.round_f64(value, round) as u32;
                assert_eq!(round32(value, round).to_bits(), expected, "{value:e} {round:?}");
            }
        }
    }
}
