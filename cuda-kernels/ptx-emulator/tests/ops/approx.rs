//! The approximate functions meet the ISA's documented error bounds and special values.

use std::f32::consts::PI;

use crate::harness::{d, f, results, table};

const NAN: u64 = 0x7fff_ffff;
const INF: u64 = 0x7f80_0000;
const NEG_INF: u64 = 0xff80_0000;
const NEG_ZERO: u64 = 0x8000_0000;

/// Runs a function of one operand on numbers from `from` to `to`; returns them with the results.
fn sweep(line: &str, from: f32, to: f32) -> Vec<(f64, f64)> {
    let inputs: Vec<f32> = (0..1000).map(|i| from + (to - from) * i as f32 / 999.0).collect();
    let rows: Vec<[u64; 1]> = inputs.iter().map(|&x| [f(x)]).collect();
    let slices: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    let found = results(line, "f32", &["f32"], &slices);
    inputs
        .iter()
        .zip(found)
        .map(|(&x, y)| (f64::from(x), f64::from(f32::from_bits(y as u32))))
        .collect()
}

#[track_caller]
fn relative(line: &str, from: f32, to: f32, exact: impl Fn(f64) -> f64, bound: f64) {
    for (x, y) in sweep(line, from, to) {
        let exact = exact(x);
        assert!((y - exact).abs() <= bound * exact.abs(), "{line} of {x}: {y}, exactly {exact}");
    }
}

#[track_caller]
fn absolute(line: &str, from: f32, to: f32, exact: impl Fn(f64) -> f64, bound: f64) {
    for (x, y) in sweep(line, from, to) {
        let exact = exact(x);
        assert!((y - exact).abs() <= bound, "{line} of {x}: {y}, exactly {exact}");
    }
}

#[test]
fn errors_stay_within_the_documented_bounds() {
    let bound = |bits: f64| (-bits).exp2();
    relative("ex2.approx.f32 d, a;", -100.0, 100.0, f64::exp2, bound(22.0));
    relative("ex2.approx.ftz.f32 d, a;", -126.0, 127.0, f64::exp2, bound(22.0));
    absolute("lg2.approx.f32 d, a;", 0.5, 2.0, f64::log2, bound(22.0));
    relative("lg2.approx.f32 d, a;", 2.5, 1e6, f64::log2, bound(22.0));
    relative("rcp.approx.f32 d, a;", 0.1, 300.0, |x| 1.0 / x, bound(23.0));
    relative("rsqrt.approx.f32 d, a;", 0.01, 300.0, |x| 1.0 / x.sqrt(), bound(22.9));
    relative("sqrt.approx.f32 d, a;", 0.01, 300.0, f64::sqrt, bound(23.0));
    absolute("sin.approx.f32 d, a;", -PI, PI, f64::sin, bound(20.5));
    absolute("cos.approx.f32 d, a;", -PI, PI, f64::cos, bound(20.5));
    relative("tanh.approx.f32 d, a;", -6.0, 6.0, f64::tanh, bound(11.0));
    for line in ["div.approx.f32 d, a, b;", "div.full.f32 d, a, b;"] {
        let rows: Vec<[u64; 2]> =
            (1..900).map(|i| [f(i as f32 * 0.37), f(900.5 - i as f32)]).collect();
        let slices: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
        for (row, found) in rows.iter().zip(results(line, "f32", &["f32"; 2], &slices)) {
            let [a, b] = row.map(|bits| f64::from(f32::from_bits(bits as u32)));
            let found = f64::from(f32::from_bits(found as u32));
            assert!(
                (found - a / b).abs() <= 2.0 * bound(23.0) * (a / b).abs(),
                "{line} of {a}, {b}"
            );
        }
    }
}

#[test]
fn special_values() {
    table(
        "ex2.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[
            ([NEG_INF], 0),
            ([NEG_ZERO], f(1.0)),
            ([0], f(1.0)),
            ([INF], INF),
            ([0x7fc0_0000], NAN),
            ([f(10.0)], f(1024.0)),
            ([f(-149.0)], 1),
            ([f(200.0)], INF),
        ],
    );
    table("ex2.approx.ftz.f32 d, a;", "f32", ["f32"], &[([f(-127.0)], 0), ([1], f(1.0))]);
    table(
        "lg2.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[
            ([NEG_INF], NAN),
            ([f(-1.0)], NAN),
            ([NEG_ZERO], NEG_INF),
            ([0], NEG_INF),
            ([INF], INF),
            ([f(1.0)], 0),
            ([f(8.0)], f(3.0)),
        ],
    );
    table("lg2.approx.ftz.f32 d, a;", "f32", ["f32"], &[([1], NEG_INF)]);
    table(
        "rcp.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[
            ([NEG_INF], NEG_ZERO),
            ([NEG_ZERO], NEG_INF),
            ([0], INF),
            ([INF], 0),
            ([0x7fc0_0000], NAN),
        ],
    );
    table("rcp.approx.ftz.f32 d, a;", "f32", ["f32"], &[([1], INF), ([0x8000_0001], NEG_INF)]);
    table(
        "rsqrt.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[
            ([NEG_INF], NAN),
            ([f(-4.0)], NAN),
            ([NEG_ZERO], NEG_INF),
            ([0], INF),
            ([INF], 0),
            ([f(4.0)], f(0.5)),
        ],
    );
    table(
        "sqrt.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[([f(-1.0)], NAN), ([NEG_ZERO], NEG_ZERO), ([INF], INF)],
    );
    table(
        "sin.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[([NEG_INF], NAN), ([INF], NAN), ([0], 0), ([NEG_ZERO], NEG_ZERO)],
    );
    table(
        "cos.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[([INF], NAN), ([0], f(1.0)), ([NEG_ZERO], f(1.0))],
    );
    table(
        "tanh.approx.f32 d, a;",
        "f32",
        ["f32"],
        &[([NEG_INF], f(-1.0)), ([INF], f(1.0)), ([NEG_ZERO], NEG_ZERO), ([0x7fc0_0000], NAN)],
    );
    table("div.approx.f32 d, a, b;", "f32", ["f32"; 2], &[([f(1.0), 0], INF), ([0, f(1.0)], 0)]);
    // Gross approximations: the lower half of the bits is zero.
    table(
        "rcp.approx.ftz.f64 d, a;",
        "f64",
        ["f64"],
        &[
            ([d(2.0)], d(0.5)),
            ([d(0.0)], d(f64::INFINITY)),
            ([d(-0.0)], d(f64::NEG_INFINITY)),
            ([d(f64::INFINITY)], 0),
            ([1], d(f64::INFINITY)),
        ],
    );
    table(
        "rsqrt.approx.ftz.f64 d, a;",
        "f64",
        ["f64"],
        &[([d(4.0)], d(0.5)), ([d(-0.0)], d(f64::NEG_INFINITY))],
    );
    table("ex2.approx.ftz.bf16x2 d, a;", "b32", ["b32"], &[([0x3f80_4000], 0x4000_4080)]);
    // 2^-130 would be subnormal.
    table("ex2.approx.ftz.bf16 d, a;", "bf16", ["bf16"], &[([0xc302], 0), ([0xc2fc], 0x0080)]);
    table("tanh.approx.f16 d, a;", "f16", ["f16"], &[([0x7c00], 0x3c00), ([0x8000], 0x8000)]);
}
