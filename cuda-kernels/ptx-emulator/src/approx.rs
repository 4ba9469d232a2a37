//! The `.approx` functions. PTX gives each an error bound; here they are computed in double
//! precision and rounded once, which meets every bound. They use polynomials and the crate `libm`,
//! not the platform's, so that all machines give the same bits.

/// `2^x`: `2^n e^(f ln 2)` with `|f| <= 1/2`, the exponential by its series. NaN stays NaN.
#[inline(always)]
pub fn ex2(x: f32) -> f32 {
    // Beyond these the result is 0 or infinite in single precision.
    let clamped = f64::from(x).clamp(-200.0, 200.0);
    let whole = (clamped + MAGIC) - MAGIC;
    let y = (clamped - whole) * std::f64::consts::LN_2;
    let mut sum = 1.0 / 479_001_600.0;
    for factor in INVERSE_FACTORIALS {
        sum = y.mul_add(sum, factor);
    }
    let scale = f64::from_bits(((whole + MAGIC).to_bits() << 52).wrapping_add(1023 << 52));
    let result = (sum * scale) as f32;
    if x.is_nan() { x } else { result }
}

/// Adding and subtracting it rounds to the nearest integer; the sum's low bits hold it.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// `1/11!` down to `1/0!`.
const INVERSE_FACTORIALS: [f64; 12] = [
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// `a / b`. Where b is so large that its reciprocal is subnormal, the ISA promises a zero.
#[inline(always)]
pub fn div(a: f32, b: f32) -> f32 {
    const LARGE: f32 = f32::from_bits(0x7e80_0000); // 2^126
    let quotient = a / b;
    let scale = if b.abs() > LARGE && b.is_finite() { 0.0 } else { 1.0 };
    quotient * scale
}

/// `log2 x`.
pub fn lg2(x: f32) -> f32 {
    libm::log2(f64::from(x)) as f32
}

/// `1 / sqrt(x)`.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    if x == 0.0 {
        return f32::INFINITY.copysign(x);
    }
    (1.0 / f64::from(x).sqrt()) as f32
}

/// `sin x`.
pub fn sin(x: f32) -> f32 {
    libm::sin(f64::from(x)) as f32
}

/// `cos x`.
pub fn cos(x: f32) -> f32 {
    libm::cos(f64::from(x)) as f32
}

/// `tanh x`.
pub fn tanh(x: f32) -> f32 {
    libm::tanh(f64::from(x)) as f32
}

/// `1 / x` of the upper 32 bits of a double, as in the PTX gross approximation.
pub fn rcp64(x: f64) -> f64 {
    upper(1.0 / upper(x))
}

/// `1 / sqrt(x)` of the upper 32 bits of a double.
pub fn rsqrt64(x: f64) -> f64 {
    let x = upper(x);
    if x == 0.0 {
        return f64::INFINITY.copysign(x);
    }
    upper(1.0 / x.sqrt())
}

/// The upper half of the bits, subnormal numbers as zero.
fn upper(x: f64) -> f64 {
    if x.is_nan() {
        return f64::from_bits(0x7fff_ffff_0000_0000);
    }
    let x = if x.is_subnormal() { 0f64.copysign(x) } else { x };
    f64::from_bits(x.to_bits() & !0xffff_ffff)
}
