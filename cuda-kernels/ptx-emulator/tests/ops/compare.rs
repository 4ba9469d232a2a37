//! Comparisons, ordered and unordered, and their combination with predicates.

use crate::harness::{d, f, s, table};

const NAN: u64 = 0x7fc0_0000;

#[test]
fn integers() {
    let pairs = [(5u64, 5u64), (5, 7), (s(-1), 1)];
    for (op, signed, unsigned) in [
        ("eq", [1, 0, 0], [1, 0, 0]),
        ("ne", [0, 1, 1], [0, 1, 1]),
        ("lt", [0, 1, 1], [0, 1, 0]),
        ("le", [1, 1, 1], [1, 1, 0]),
        ("gt", [0, 0, 0], [0, 0, 1]),
        ("ge", [1, 0, 0], [1, 0, 1]),
    ] {
        for (bits, mask) in [(16, 0xffff), (32, 0xffff_ffff), (64, u64::MAX)] {
            for (kind, expected) in [("s", signed), ("u", unsigned)] {
                let ty = format!("{kind}{bits}");
                let rows: Vec<_> = pairs
                    .iter()
                    .zip(expected)
                    .map(|(&(a, b), expected)| ([a & mask, b & mask], expected))
                    .collect();
                table(&format!("setp.{op}.{ty} d, a, b;"), "pred", [&ty, &ty], &rows);
            }
        }
    }
    for (op, expected) in
        [("lo", [0, 1, 0]), ("ls", [1, 1, 0]), ("hi", [0, 0, 1]), ("hs", [1, 0, 1])]
    {
        let rows: Vec<_> =
            pairs.iter().zip(expected).map(|(&(a, b), e)| ([a & 0xffff_ffff, b], e)).collect();
        table(&format!("setp.{op}.u32 d, a, b;"), "pred", ["u32", "u32"], &rows);
    }
}

/// Rows: equal, less, greater, first NaN, both NaN, zeros of different signs.
#[test]
fn floats_ordered_and_unordered() {
    let single = [
        (f(1.0), f(1.0)),
        (f(1.0), f(2.0)),
        (f(2.0), f(1.0)),
        (NAN, f(1.0)),
        (NAN, NAN),
        (0, 0x8000_0000),
    ];
    let double = [
        (d(1.0), d(1.0)),
        (d(1.0), d(2.0)),
        (d(2.0), d(1.0)),
        (d(f64::NAN), d(1.0)),
        (d(f64::NAN), d(f64::NAN)),
        (d(0.0), d(-0.0)),
    ];
    let half = [
        (0x3c00, 0x3c00),
        (0x3c00, 0x4000),
        (0x4000, 0x3c00),
        (0x7e00, 0x3c00),
        (0x7e00, 0x7e00),
        (0, 0x8000),
    ];
    for (op, expected) in [
        ("eq", [1, 0, 0, 0, 0, 1]),
        ("ne", [0, 1, 1, 0, 0, 0]),
        ("lt", [0, 1, 0, 0, 0, 0]),
        ("le", [1, 1, 0, 0, 0, 1]),
        ("gt", [0, 0, 1, 0, 0, 0]),
        ("ge", [1, 0, 1, 0, 0, 1]),
        ("equ", [1, 0, 0, 1, 1, 1]),
        ("neu", [0, 1, 1, 1, 1, 0]),
        ("ltu", [0, 1, 0, 1, 1, 0]),
        ("leu", [1, 1, 0, 1, 1, 1]),
        ("gtu", [0, 0, 1, 1, 1, 0]),
        ("geu", [1, 0, 1, 1, 1, 1]),
        ("num", [1, 1, 1, 0, 0, 1]),
        ("nan", [0, 0, 0, 1, 1, 0]),
    ] {
        for (ty, pairs) in [("f32", single), ("f64", double), ("f16", half)] {
            let rows: Vec<_> = pairs.iter().zip(expected).map(|(&(a, b), e)| ([a, b], e)).collect();
            table(&format!("setp.{op}.{ty} d, a, b;"), "pred", [ty, ty], &rows);
        }
    }
    table("setp.eq.ftz.f32 d, a, b;", "pred", ["f32", "f32"], &[([1, 0], 1)]);
    table("setp.eq.f32 d, a, b;", "pred", ["f32", "f32"], &[([1, 0], 0)]);
    table("setp.gt.ftz.f16 d, a, b;", "pred", ["f16"; 2], &[([1, 0], 0), ([0x0400, 0], 1)]);
    table("setp.gt.f16 d, a, b;", "pred", ["f16"; 2], &[([1, 0], 1)]);
    table("set.eq.ftz.u32.f16x2 d, a, b;", "u32", ["b32"; 2], &[([0x8001_0400, 0], 0xffff_0000)]);
}

#[test]
fn combinations_and_second_results() {
    for (op, expected) in [("and", [1, 0, 0, 0]), ("or", [1, 1, 1, 0]), ("xor", [0, 1, 1, 0])] {
        let rows: Vec<_> =
            [[1, 1, 1], [1, 1, 0], [1, 2, 1], [1, 2, 0]].into_iter().zip(expected).collect();
        table(&format!("setp.eq.{op}.s32 d, a, b, c;"), "pred", ["s32", "s32", "pred"], &rows);
    }
    // q is the comparison's opposite, combined the same way.
    let types = ["s32", "s32", "pred"];
    table(
        "setp.eq.and.s32 %p|d, a, b, c;",
        "pred",
        types,
        &[([1, 1, 1], 0), ([1, 2, 1], 1), ([1, 2, 0], 0)],
    );
    table("setp.eq.and.s32 d, a, b, !c;", "pred", types, &[([1, 1, 0], 1), ([1, 1, 1], 0)]);
    table(
        "set.lt.u32.s32 d, a, b;",
        "u32",
        ["s32", "s32"],
        &[([s(-1), 1], 0xffff_ffff), ([1, 1], 0)],
    );
    table(
        "set.gt.f32.f32 d, a, b;",
        "f32",
        ["f32", "f32"],
        &[([f(2.0), f(1.0)], f(1.0)), ([NAN, f(1.0)], 0)],
    );
    table(
        "set.gt.or.u32.f32 d, a, b, c;",
        "u32",
        ["f32", "f32", "pred"],
        &[([f(0.0), f(1.0), 1], 0xffff_ffff)],
    );
}

#[test]
fn classes() {
    for (test, expected) in [
        ("finite", [1, 1, 1, 0, 0]),
        ("infinite", [0, 0, 0, 1, 0]),
        ("number", [1, 1, 1, 1, 0]),
        ("notanumber", [0, 0, 0, 0, 1]),
        ("normal", [1, 0, 1, 0, 0]),
        ("subnormal", [0, 1, 0, 0, 0]),
    ] {
        let rows: Vec<_> = [f(1.0), 1, 0, 0x7f80_0000, NAN]
            .into_iter()
            .zip(expected)
            .map(|(a, e)| ([a], e))
            .collect();
        table(&format!("testp.{test}.f32 d, a;"), "pred", ["f32"], &rows);
    }
}
