//! Rounding: correctly rounded results in all directions.

use crate::harness::{d, f, results, table};

/// A spread of f32 bit patterns: signs, subnormal numbers, extremes, neighbours of powers of two.
fn patterns() -> Vec<f32> {
    let mut found = vec![];
    let mut state = 0x1234_5678u32;
    for i in 0..1024u32 {
        // A linear congruence (Numerical Recipes): any spread does.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let exponent = match i % 8 {
            0 => 127 + (state >> 8) % 4,
            1 => 127 - (state >> 8) % 30,
            2 => 127 + (state >> 8) % 30,
            3 => (state >> 8) % 3,
            _ => 120 + (state >> 8) % 16,
        };
        let fraction = if i % 16 == 0 { 0 } else { state >> 3 & 0x7f_ffff };
        let bits = state & 0x8000_0000 | exponent << 23 | fraction;
        found.push(f32::from_bits(bits));
    }
    found
}

/// Is `value` the exact result rounded in `direction`? All exact results here fit into f64.
#[track_caller]
fn check(line: &str, direction: &str, value: f32, exact: f64) {
    let got = f64::from(value);
    let holds = match direction {
        "rm" => got <= exact && f64::from(value.next_up()) > exact,
        "rp" => got >= exact && f64::from(value.next_down()) < exact,
        "rz" if exact >= 0.0 => got <= exact && f64::from(value.next_up()) > exact,
        "rz" => got >= exact && f64::from(value.next_down()) < exact,
        // Rust's conversion rounds to nearest even.
        _ => value == exact as f32,
    };
    assert!(holds, "{line}: {value:e} ({:#x}) of exactly {exact:e}", value.to_bits());
}

#[test]
fn products_in_every_direction() {
    let a = patterns();
    let b: Vec<f32> = a.iter().rev().copied().collect();
    let rows: Vec<[u64; 2]> = a.iter().zip(&b).map(|(&a, &b)| [f(a), f(b)]).collect();
    let rows: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    for direction in ["rn", "rz", "rm", "rp"] {
        let line = format!("mul.{direction}.f32 d, a, b;");
        let found = results(&line, "f32", &["f32", "f32"], &rows);
        for ((a, b), found) in a.iter().zip(&b).zip(found) {
            check(&line, direction, f32::from_bits(found as u32), f64::from(*a) * f64::from(*b));
        }
    }
}

#[test]
fn sums_in_every_direction() {
    // Exponents at most 28 apart: then the exact sum fits into f64.
    let near = |x: &&f32| (1e-4..1e4).contains(&x.abs());
    let a: Vec<f32> = patterns().iter().filter(near).copied().collect();
    let b: Vec<f32> = a.iter().rev().copied().collect();
    let rows: Vec<[u64; 2]> = a.iter().zip(&b).map(|(&a, &b)| [f(a), f(b)]).collect();
    let rows: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    for direction in ["rn", "rz", "rm", "rp"] {
        for (op, sign) in [("add", 1.0), ("sub", -1.0)] {
            let line = format!("{op}.{direction}.f32 d, a, b;");
            let found = results(&line, "f32", &["f32", "f32"], &rows);
            for ((a, b), found) in a.iter().zip(&b).zip(found) {
                let exact = f64::from(*a) + sign * f64::from(*b);
                check(&line, direction, f32::from_bits(found as u32), exact);
            }
        }
    }
}

#[test]
fn fma_rounds_once() {
    // 12-bit operands: product and sum are exact in f64.
    let short = |x: f32| f32::from_bits(x.to_bits() & 0xffff_f000);
    let near = |x: &f32| (1e-3..1e3).contains(&x.abs());
    let a: Vec<f32> = patterns().into_iter().filter(near).map(short).collect();
    let b: Vec<f32> = a.iter().rev().copied().collect();
    let c: Vec<f32> = patterns().into_iter().filter(near).collect();
    let rows: Vec<[u64; 3]> =
        a.iter().zip(&b).zip(&c).map(|((&a, &b), &c)| [f(a), f(b), f(c)]).collect();
    let slices: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    for direction in ["rn", "rz", "rm", "rp"] {
        let line = format!("fma.{direction}.f32 d, a, b, c;");
        let found = results(&line, "f32", &["f32"; 3], &slices);
        for (((a, b), c), found) in a.iter().zip(&b).zip(&c).zip(found) {
            let exact = f64::from(*a) * f64::from(*b) + f64::from(*c);
            check(&line, direction, f32::from_bits(found as u32), exact);
        }
    }
    // One rounding, not two: (1 + 2^-12)^2 - 1 - 2^-11 = 2^-24, which a rounded product loses.
    let x = 1.0 + 2f32.powi(-12);
    table(
        "fma.rn.f32 d, a, b, c;",
        "f32",
        ["f32"; 3],
        &[([f(x), f(x), f(-1.0 - 2f32.powi(-11))], f(2f32.powi(-24)))],
    );
    let x = 1.0 + 2f64.powi(-27);
    table(
        "fma.rn.f64 d, a, b, c;",
        "f64",
        ["f64"; 3],
        &[([d(x), d(x), d(-1.0 - 2f64.powi(-26))], d(2f64.powi(-54)))],
    );
}

/// A quotient q = a / b is below the exact one if q b < a; both products are exact in f64.
#[test]
fn quotients_and_roots_in_every_direction() {
    let a: Vec<f32> =
        patterns().into_iter().filter(|x| x.abs() > 1e-30 && x.abs() < 1e30).collect();
    let b: Vec<f32> = a.iter().rev().copied().collect();
    let rows: Vec<[u64; 2]> = a.iter().zip(&b).map(|(&a, &b)| [f(a), f(b)]).collect();
    let slices: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    for direction in ["rn", "rz", "rm", "rp"] {
        let line = format!("div.{direction}.f32 d, a, b;");
        let found = results(&line, "f32", &["f32"; 2], &slices);
        for ((&a, &b), found) in a.iter().zip(&b).zip(found) {
            let q = f32::from_bits(found as u32);
            if !(1e-30..1e30).contains(&q.abs()) {
                continue;
            }
            let (a, b) = if b < 0.0 { (-a, -b) } else { (a, b) };
            let below = |q: f32| f64::from(q) * f64::from(b) <= f64::from(a);
            let above = |q: f32| f64::from(q) * f64::from(b) >= f64::from(a);
            let holds = match direction {
                "rm" => below(q) && !below(q.next_up()),
                "rp" => above(q) && !above(q.next_down()),
                "rz" if a >= 0.0 => below(q) && !below(q.next_up()),
                "rz" => above(q) && !above(q.next_down()),
                // No neighbour is nearer: |q b - a| <= ulp b / 2.
                _ => {
                    let error = (f64::from(q) * f64::from(b) - f64::from(a)).abs();
                    let step = f64::from(q.abs().next_up()) - f64::from(q.abs());
                    error <= step * f64::from(b) / 2.0
                }
            };
            assert!(holds, "{line}: {q:e} of {a:e} / {b:e}");
        }
    }
    let a: Vec<f32> = a.iter().map(|a| a.abs()).collect();
    let rows: Vec<[u64; 1]> = a.iter().map(|&a| [f(a)]).collect();
    let slices: Vec<&[u64]> = rows.iter().map(|row| row.as_slice()).collect();
    for direction in ["rz", "rm", "rp", "rn"] {
        let line = format!("sqrt.{direction}.f32 d, a;");
        let found = results(&line, "f32", &["f32"], &slices);
        for (&a, found) in a.iter().zip(found) {
            let root = f32::from_bits(found as u32);
            let square = |x: f32| f64::from(x) * f64::from(x);
            let holds = match direction {
                "rp" => square(root) >= f64::from(a) && square(root.next_down()) < f64::from(a),
                "rn" => {
                    // Below the upper midpoint and above the lower one, both exact in f64.
                    let middle = |x: f32, y: f32| (f64::from(x) + f64::from(y)) / 2.0;
                    let (low, high) =
                        (middle(root.next_down(), root), middle(root, root.next_up()));
                    low * low <= f64::from(a) && high * high >= f64::from(a)
                }
                _ => square(root) <= f64::from(a) && square(root.next_up()) > f64::from(a),
            };
            assert!(holds, "{line}: {root:e} of {a:e}");
        }
    }
}

/// 1/3 and friends in double precision: the neighbours are known from the binary expansion.
#[test]
fn double_precision_in_every_direction() {
    let third = 0x3fd5_5555_5555_5555u64;
    for (direction, expected) in [("rn", third), ("rz", third), ("rm", third), ("rp", third + 1)] {
        table(
            &format!("div.{direction}.f64 d, a, b;"),
            "f64",
            ["f64"; 2],
            &[([d(1.0), d(3.0)], expected)],
        );
        table(&format!("rcp.{direction}.f64 d, a;"), "f64", ["f64"], &[([d(3.0)], expected)]);
    }
    let tiny = 2f64.powi(-60);
    for (direction, up, down) in [
        ("rn", 1.0, 1.0),
        ("rz", 1.0, 1f64.next_down()),
        ("rm", 1.0, 1f64.next_down()),
        ("rp", 1f64.next_up(), 1.0),
    ] {
        table(
            &format!("add.{direction}.f64 d, a, b;"),
            "f64",
            ["f64"; 2],
            &[([d(1.0), d(tiny)], d(up)), ([d(1.0), d(-tiny)], d(down))],
        );
        table(
            &format!("sub.{direction}.f64 d, a, b;"),
            "f64",
            ["f64"; 2],
            &[([d(1.0), d(-tiny)], d(up))],
        );
        table(
            &format!("fma.{direction}.f64 d, a, b, c;"),
            "f64",
            ["f64"; 3],
            &[([d(tiny), d(1.0), d(1.0)], d(up)), ([d(tiny), d(-1.0), d(1.0)], d(down))],
        );
    }
    // (1 + 2^-30)^2 = 1 + 2^-29 + 2^-60.
    let x = 1.0 + 2f64.powi(-30);
    let base = 1.0 + 2f64.powi(-29);
    for (direction, expected) in [("rn", base), ("rz", base), ("rm", base), ("rp", base.next_up())]
    {
        table(
            &format!("mul.{direction}.f64 d, a, b;"),
            "f64",
            ["f64"; 2],
            &[([d(x), d(x)], d(expected))],
        );
    }
    // The square root of 2 is 1.4142135623730950488..., between these two.
    let root = 0x3ff6_a09e_667f_3bcdu64;
    for (direction, expected) in [("rn", root), ("rz", root - 1), ("rm", root - 1), ("rp", root)] {
        table(&format!("sqrt.{direction}.f64 d, a;"), "f64", ["f64"], &[([d(2.0)], expected)]);
    }
}

#[test]
fn pairs_of_floats_round_apart() {
    let pair = |high: f64, low: f64| f(high as f32) << 32 | f(low as f32);
    let tiny = 0x0001_16c2u64;
    table(
        "add.rn.f32x2 d, a, b;",
        "u64",
        ["u64"; 2],
        &[([pair(1.5, -2.0), pair(0.25, 5.0)], pair(1.75, 3.0))],
    );
    table(
        "sub.rp.f32x2 d, a, b;",
        "u64",
        ["u64"; 2],
        &[(
            [pair(1.0, 1.0), pair(-2f64.powi(-40), 2f64.powi(-40))],
            f(1f32.next_up()) << 32 | f(1.0),
        )],
    );
    table(
        "mul.rn.ftz.f32x2 d, a, b;",
        "u64",
        ["u64"; 2],
        &[([tiny << 32 | f(2.0), pair(1.0, 2.0)], pair(0.0, 4.0))],
    );
    table(
        "fma.rn.f32x2 d, a, b, c;",
        "u64",
        ["u64"; 3],
        &[([pair(2.0, 3.0), pair(4.0, 5.0), pair(1.0, -1.0)], pair(9.0, 14.0))],
    );
}

/// 0x3c00 is 1 as f16, 0x3fc0 is 1.5, 0xc000 -2 and 0x3f00 0.5 as bf16.
#[test]
fn halves_widen_before_sums_of_floats() {
    table(
        "add.rn.f32.f16 d, a, b;",
        "f32",
        ["f16", "f32"],
        &[([0x3c00, f(0.1)], f(1.1)), ([0x0001, f(0.0)], f(2f32.powi(-24)))],
    );
    table(
        "sub.rn.sat.f32.bf16 d, a, b;",
        "f32",
        ["bf16", "f32"],
        &[([0x3fc0, f(0.25)], f(1.0)), ([0x3f00, f(0.25)], f(0.25))],
    );
    table(
        "fma.rn.f32.bf16 d, a, b, c;",
        "f32",
        ["bf16", "bf16", "f32"],
        &[([0x3fc0, 0xc000, f(0.25)], f(-2.75))],
    );
}
