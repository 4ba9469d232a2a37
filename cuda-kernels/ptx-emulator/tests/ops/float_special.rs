//! NaN, infinities, zeros of either sign, `.ftz`, `.sat`, half precision.

use crate::harness::{d, f, table};

/// The NaN of single precision.
const NAN: u64 = 0x7fff_ffff;
const QUIET: u64 = 0x7fc0_1234;
const INF: u64 = 0x7f80_0000;
const NEG_INF: u64 = 0xff80_0000;
const NEG_ZERO: u64 = 0x8000_0000;
/// The largest finite number.
const MAX: u64 = 0x7f7f_ffff;

#[test]
fn nan_results_are_canonical() {
    table(
        "add.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([QUIET, f(1.0)], NAN), ([INF, NEG_INF], NAN), ([INF, f(1.0)], INF)],
    );
    table("mul.f32 d, a, b;", "f32", ["f32"; 2], &[([INF, 0], NAN), ([NEG_INF, f(-2.0)], INF)]);
    table(
        "fma.rn.f32 d, a, b, c;",
        "f32",
        ["f32"; 3],
        &[([INF, 0, f(1.0)], NAN), ([INF, f(1.0), NEG_INF], NAN), ([f(1.0), f(1.0), QUIET], NAN)],
    );
    table(
        "div.rn.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[
            ([0, 0], NAN),
            ([INF, INF], NAN),
            ([f(1.0), 0], INF),
            ([f(1.0), NEG_ZERO], NEG_INF),
            ([f(1.0), NEG_INF], NEG_ZERO),
        ],
    );
    table(
        "sqrt.rn.f32 d, a;",
        "f32",
        ["f32"],
        &[([f(-1.0)], NAN), ([NEG_ZERO], NEG_ZERO), ([INF], INF), ([NEG_INF], NAN)],
    );
    table(
        "rcp.rn.f32 d, a;",
        "f32",
        ["f32"],
        &[([0], INF), ([NEG_ZERO], NEG_INF), ([INF], 0), ([NEG_INF], NEG_ZERO)],
    );
}

#[test]
fn signs_of_zero_follow_the_rounding() {
    for (direction, expected) in [("rn", 0), ("rz", 0), ("rp", 0), ("rm", NEG_ZERO)] {
        table(
            &format!("add.{direction}.f32 d, a, b;"),
            "f32",
            ["f32"; 2],
            &[
                ([f(1.5), f(-1.5)], expected),
                ([NEG_ZERO, NEG_ZERO], NEG_ZERO),
                ([0, NEG_ZERO], expected),
            ],
        );
        table(
            &format!("fma.{direction}.f32 d, a, b, c;"),
            "f32",
            ["f32"; 3],
            &[([f(2.0), f(3.0), f(-6.0)], expected)],
        );
    }
}

#[test]
fn overflow_follows_the_rounding() {
    for (direction, positive, negative) in [
        ("rn", INF, NEG_INF),
        ("rz", MAX, MAX | NEG_ZERO),
        ("rm", MAX, NEG_INF),
        ("rp", INF, MAX | NEG_ZERO),
    ] {
        table(
            &format!("mul.{direction}.f32 d, a, b;"),
            "f32",
            ["f32"; 2],
            &[([MAX, f(2.0)], positive), ([MAX, f(-2.0)], negative)],
        );
        table(
            &format!("add.{direction}.f32 d, a, b;"),
            "f32",
            ["f32"; 2],
            &[([MAX, MAX], positive)],
        );
    }
}

#[test]
fn minimum_and_maximum_prefer_numbers() {
    table(
        "min.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[
            ([QUIET, f(1.0)], f(1.0)),
            ([f(1.0), QUIET], f(1.0)),
            ([QUIET, QUIET], NAN),
            ([0, NEG_ZERO], NEG_ZERO),
            ([NEG_ZERO, 0], NEG_ZERO),
            ([f(1.0), f(2.0)], f(1.0)),
        ],
    );
    table(
        "max.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[
            ([QUIET, f(1.0)], f(1.0)),
            ([NEG_ZERO, 0], 0),
            ([0, NEG_ZERO], 0),
            ([NEG_INF, QUIET], NEG_INF),
            ([f(-1.0), f(-2.0)], f(-1.0)),
        ],
    );
    table(
        "min.NaN.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([QUIET, f(1.0)], NAN), ([f(3.0), f(1.0)], f(1.0))],
    );
    table(
        "max.NaN.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([f(1.0), QUIET], NAN), ([f(3.0), f(1.0)], f(3.0))],
    );
    table(
        "min.xorsign.abs.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([f(-3.0), f(2.0)], f(-2.0)), ([f(-3.0), f(-2.0)], f(2.0))],
    );
    table("max.ftz.f32 d, a, b;", "f32", ["f32"; 2], &[([1, 0x8000_0001], 0)]);
    table(
        "min.f64 d, a, b;",
        "f64",
        ["f64"; 2],
        &[
            ([d(f64::NAN), d(1.0)], d(1.0)),
            ([d(0.0), d(-0.0)], d(-0.0)),
            ([d(-5.0), d(3.0)], d(-5.0)),
        ],
    );
    table(
        "max.f64 d, a, b;",
        "f64",
        ["f64"; 2],
        &[([d(-0.0), d(0.0)], d(0.0)), ([d(2.0), d(f64::NAN)], d(2.0))],
    );
}

#[test]
fn subnormal_numbers_and_ftz() {
    table(
        "add.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([1, 1], 2), ([0x0080_0000, 0x8000_0001], 0x007f_ffff)],
    );
    table(
        "add.ftz.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[
            ([1, 1], 0),
            ([0x8000_0001, 0x8000_0001], NEG_ZERO),
            ([0x0080_0000, 0x8000_0001], 0x0080_0000),
            ([0x0080_0001, 0x8080_0000], 0),
        ],
    );
    table(
        "mul.ftz.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([0x0080_0000, f(0.5)], 0), ([0x8080_0000, f(0.5)], NEG_ZERO)],
    );
    table(
        "fma.rn.ftz.f32 d, a, b, c;",
        "f32",
        ["f32"; 3],
        &[([f(1.0), f(1.0), 5], f(1.0)), ([1, f(2.0), 0], 0)],
    );
    table("neg.ftz.f32 d, a;", "f32", ["f32"], &[([1], NEG_ZERO), ([f(1.0)], f(-1.0))]);
    table("abs.f32 d, a;", "f32", ["f32"], &[([f(-2.0)], f(2.0)), ([NEG_ZERO], 0)]);
    table("abs.ftz.f32 d, a;", "f32", ["f32"], &[([0x8000_0001], 0)]);
    table(
        "copysign.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([f(-1.0), f(2.0)], f(-2.0)), ([0, f(-3.0)], f(3.0))],
    );
    table("copysign.f64 d, a, b;", "f64", ["f64"; 2], &[([d(-0.0), d(2.0)], d(-2.0))]);
}

/// `.sat` clamps to [0, 1]; NaN becomes +0.
#[test]
fn saturation() {
    table(
        "add.sat.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[
            ([f(0.75), f(0.5)], f(1.0)),
            ([f(-0.75), f(0.5)], 0),
            ([f(0.25), f(0.5)], f(0.75)),
            ([QUIET, f(0.5)], 0),
            ([NEG_ZERO, NEG_ZERO], 0),
        ],
    );
    table(
        "mul.sat.f32 d, a, b;",
        "f32",
        ["f32"; 2],
        &[([f(2.0), f(3.0)], f(1.0)), ([f(2.0), f(-3.0)], 0)],
    );
    table(
        "fma.rn.sat.f32 d, a, b, c;",
        "f32",
        ["f32"; 3],
        &[([f(2.0), f(3.0), f(-5.5)], f(0.5)), ([INF, 0, 0], 0)],
    );
}

/// Half precision: 1 + 2^-11 lies between two numbers and goes to the even one.
#[test]
fn half_precision() {
    table(
        "add.rn.f16 d, a, b;",
        "f16",
        ["f16"; 2],
        &[
            ([0x3c00, 0x1000], 0x3c00),
            ([0x3c01, 0x1000], 0x3c02),
            ([0x7bff, 0x7bff], 0x7c00),
            ([0x7c00, 0xfc00], 0x7fff),
            ([0x0001, 0x0001], 0x0002),
        ],
    );
    table(
        "mul.f16 d, a, b;",
        "f16",
        ["f16"; 2],
        &[([0x3e00, 0x3e00], 0x4080), ([0x0400, 0x3800], 0x0200)],
    );
    table("mul.ftz.f16 d, a, b;", "f16", ["f16"; 2], &[([0x0400, 0x3800], 0)]);
    table("neg.ftz.f16 d, a;", "f16", ["f16"], &[([0x0001], 0x8000), ([0x0400], 0x8400)]);
    table("abs.ftz.f16x2 d, a;", "b32", ["b32"], &[([0x83ff_8400], 0x0400)]);
    table("min.ftz.f16 d, a, b;", "f16", ["f16"; 2], &[([0x0001, 0x3c00], 0)]);
    table("neg.f16 d, a;", "f16", ["f16"], &[([0x0001], 0x8001)]);
    table(
        "fma.rn.f16 d, a, b, c;",
        "f16",
        ["f16"; 3],
        &[
            // (1 + 3 2^-10)^2 - 1 = 6 2^-10 + 9 2^-20, rounded once; a rounded product loses 9 2^-20.
            ([0x3c03, 0x3c03, 0xbc00], 0x1e02),
            // (1 + 2^-10)^2 - 1 = 2^-9 + 2^-20: a tie, goes to even.
            ([0x3c01, 0x3c01, 0xbc00], 0x1800),
        ],
    );
    table(
        "fma.rn.relu.f16 d, a, b, c;",
        "f16",
        ["f16"; 3],
        &[([0x3c00, 0xbc00, 0], 0), ([0x3c00, 0x3c00, 0], 0x3c00)],
    );
    table(
        "add.sat.f16 d, a, b;",
        "f16",
        ["f16"; 2],
        &[([0x3c00, 0x3c00], 0x3c00), ([0xbc00, 0], 0), ([0x7e00, 0], 0)],
    );
    table("add.f16x2 d, a, b;", "b32", ["b32"; 2], &[([0x3c00_4000, 0x3c00_3c00], 0x4000_4200)]);
    table("neg.f16x2 d, a;", "b32", ["b32"], &[([0x3c00_4000], 0xbc00_c000)]);
    table("neg.bf16 d, a;", "bf16", ["bf16"], &[([0x3f80], 0xbf80)]);
    table("abs.bf16x2 d, a;", "b32", ["b32"], &[([0xbf80_c000], 0x3f80_4000)]);
    table(
        "fma.rn.bf16 d, a, b, c;",
        "bf16",
        ["bf16"; 3],
        &[
            ([0x3f80, 0x3f80, 0x3f80], 0x4000),
            // (1 + 2^-7)^2 - 1 = 2^-6 + 2^-14: 1.00000001 2^-6, a tie that goes to even.
            ([0x3f81, 0x3f81, 0xbf80], 0x3c80),
        ],
    );
    table(
        "fma.rn.bf16x2 d, a, b, c;",
        "b32",
        ["b32"; 3],
        &[([0x3f80_4000, 0x3f80_4000, 0x3f80_3f80], 0x4000_40a0)],
    );
    table(
        "min.f16 d, a, b;",
        "f16",
        ["f16"; 2],
        &[([0x7e00, 0x3c00], 0x3c00), ([0x0000, 0x8000], 0x8000)],
    );
    table(
        "max.bf16 d, a, b;",
        "bf16",
        ["bf16"; 2],
        &[([0x3f80, 0x4000], 0x4000), ([0x7fc0, 0x3f80], 0x3f80)],
    );
    table(
        "max.NaN.f16x2 d, a, b;",
        "b32",
        ["b32"; 2],
        &[([0x7e00_3c00, 0x3c00_4000], 0x7fff_4000)],
    );
}
