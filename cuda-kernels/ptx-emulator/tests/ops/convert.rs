//! Conversions: rounding, saturation, NaN, widths.

use crate::harness::{d, f, s, table};

#[test]
fn integers_to_integers() {
    table("cvt.s64.s32 d, a;", "s64", ["s32"], &[([s(-5) & 0xffff_ffff], s(-5))]);
    table("cvt.u64.u32 d, a;", "u64", ["u32"], &[([0xffff_ffff], 0xffff_ffff)]);
    table("cvt.u32.u64 d, a;", "u32", ["u64"], &[([0x1_2345_6789], 0x2345_6789)]);
    table("cvt.s32.s16 d, a;", "s32", ["s16"], &[([0x8000], 0xffff_8000)]);
    table("cvt.u32.u16 d, a;", "u32", ["u16"], &[([0x8000], 0x8000)]);
    table("cvt.u16.u32 d, a;", "u16", ["u32"], &[([0x12_3456], 0x3456)]);
    table("cvt.s32.s8 d, a;", "s32", ["s32"], &[([0x180], 0xffff_ff80), ([0x7f], 0x7f)]);
    table("cvt.u32.u8 d, a;", "u32", ["u32"], &[([0x1ff], 0xff)]);
    table("cvt.s64.s8 d, a;", "s64", ["s32"], &[([0x80], s(-128))]);
    table(
        "cvt.sat.s8.s32 d, a;",
        "s32",
        ["s32"],
        &[([300], 127), ([s(-300)], 0xffff_ff80), ([5], 5)],
    );
    table("cvt.sat.u8.s32 d, a;", "u32", ["s32"], &[([300], 255), ([s(-1)], 0)]);
    table("cvt.sat.u32.s32 d, a;", "u32", ["s32"], &[([s(-1)], 0), ([7], 7)]);
    table("cvt.sat.s32.u32 d, a;", "s32", ["u32"], &[([0xffff_ffff], 0x7fff_ffff)]);
    table(
        "cvt.sat.s32.s64 d, a;",
        "s32",
        ["s64"],
        &[([1 << 40], 0x7fff_ffff), ([s(-1) << 40], 0x8000_0000)],
    );
}

#[test]
fn floats_to_integers_round_and_clamp() {
    let nan = 0x7fc0_0000;
    for (round, expected) in [
        ("rni", [2, 2, s(-2), 4, 0]),
        ("rzi", [1, 2, s(-1), 3, 0]),
        ("rmi", [1, 2, s(-2), 3, s(-1)]),
        ("rpi", [2, 3, s(-1), 4, 0]),
    ] {
        let inputs = [1.5, 2.5, -1.5, 3.5, -0.25];
        let rows: Vec<_> = inputs.iter().zip(expected).map(|(&x, e)| ([f(x)], e)).collect();
        table(&format!("cvt.{round}.s32.f32 d, a;"), "s32", ["f32"], &rows);
        let rows: Vec<_> = inputs.iter().zip(expected).map(|(&x, e)| ([d(x.into())], e)).collect();
        table(&format!("cvt.{round}.s64.f64 d, a;"), "s64", ["f64"], &rows);
    }
    // The result is clamped to the integer's range. "NaN input results in: zero if source is not
    // `.f64` and destination is not `.s64`, `.u64`, otherwise 1 << (BitWidth(dst) - 1)".
    table(
        "cvt.rzi.s32.f32 d, a;",
        "s32",
        ["f32"],
        &[
            ([f(3e9)], 0x7fff_ffff),
            ([f(-3e9)], 0x8000_0000),
            ([nan], 0),
            ([f(f32::INFINITY)], 0x7fff_ffff),
        ],
    );
    table(
        "cvt.rzi.u32.f32 d, a;",
        "u32",
        ["f32"],
        &[([f(-1.0)], 0), ([f(5e9)], 0xffff_ffff), ([nan], 0), ([f(3e9)], 3_000_000_000)],
    );
    table(
        "cvt.rzi.u64.f32 d, a;",
        "u64",
        ["f32"],
        &[([f(1e30)], u64::MAX), ([f(2f32.powi(40))], 1 << 40), ([nan], 1 << 63)],
    );
    table("cvt.rzi.s64.f32 d, a;", "s64", ["f32"], &[([nan], 1 << 63), ([f(-1e30)], 1 << 63)]);
    table("cvt.rni.s64.f16 d, a;", "s64", ["f16"], &[([0x7e00], 1 << 63), ([0xc000], s(-2))]);
    table("cvt.rzi.s32.f16 d, a;", "s32", ["f16"], &[([0x7e00], 0)]);
    let nan = d(f64::NAN);
    for (to, expected) in
        [("s64", 1 << 63), ("u64", 1 << 63), ("s32", 1 << 31), ("u32", 1 << 31), ("s16", 1 << 15)]
    {
        table(&format!("cvt.rzi.{to}.f64 d, a;"), to, ["f64"], &[([nan], expected)]);
    }
    table("cvt.rzi.u8.f64 d, a;", "u32", ["f64"], &[([nan], 0x80)]);
    table("cvt.rzi.s8.f64 d, a;", "s32", ["f64"], &[([nan], 0xffff_ff80)]);
    table("cvt.rni.s16.f32 d, a;", "s16", ["f32"], &[([f(1e6)], 0x7fff), ([f(-1e6)], 0x8000)]);
    table("cvt.rzi.u8.f32 d, a;", "u32", ["f32"], &[([f(300.0)], 255), ([f(-3.0)], 0)]);
    table(
        "cvt.rzi.s32.f64 d, a;",
        "s32",
        ["f64"],
        &[([d(-7.9)], s(-7)), ([d(1e300)], 0x7fff_ffff)],
    );
    table("cvt.rzi.s32.f16 d, a;", "s32", ["f16"], &[([0xc500], s(-5)), ([0x4580], 5)]);
    table("cvt.rzi.ftz.s32.f32 d, a;", "s32", ["f32"], &[([1], 0)]);
    table("cvt.rpi.ftz.s32.f32 d, a;", "s32", ["f32"], &[([1], 0)]);
    table("cvt.rpi.s32.f32 d, a;", "s32", ["f32"], &[([1], 1)]);
}

#[test]
fn floats_to_integral_floats() {
    for (round, expected) in [
        ("rni", [2.0, 2.0, -2.0, -0.0]),
        ("rzi", [1.0, 2.0, -1.0, -0.0]),
        ("rmi", [1.0, 2.0, -2.0, -1.0]),
        ("rpi", [2.0, 3.0, -1.0, -0.0]),
    ] {
        let rows: Vec<_> =
            [1.5, 2.5, -1.5, -0.25].iter().zip(expected).map(|(&x, e)| ([f(x)], f(e))).collect();
        table(&format!("cvt.{round}.f32.f32 d, a;"), "f32", ["f32"], &rows);
        let rows: Vec<_> = [1.5, 2.5, -1.5, -0.25]
            .iter()
            .zip(expected)
            .map(|(&x, e)| ([d(x)], d(e.into())))
            .collect();
        table(&format!("cvt.{round}.f64.f64 d, a;"), "f64", ["f64"], &rows);
    }
    table(
        "cvt.sat.f32.f32 d, a;",
        "f32",
        ["f32"],
        &[([f(1.5)], f(1.0)), ([f(-1.5)], 0), ([0x7fc0_0000], 0), ([f(0.25)], f(0.25))],
    );
}

/// 2^24 + 1 lies between two f32.
#[test]
fn integers_to_floats() {
    let odd = (1 << 24) + 1;
    for (round, positive, negative) in [
        ("rn", 16_777_216.0, -16_777_216.0),
        ("rz", 16_777_216.0, -16_777_216.0),
        ("rm", 16_777_216.0, -16_777_218.0),
        ("rp", 16_777_218.0, -16_777_216.0),
    ] {
        table(
            &format!("cvt.{round}.f32.s32 d, a;"),
            "f32",
            ["s32"],
            &[([odd], f(positive)), ([s(-(odd as i64))], f(negative))],
        );
        table(
            &format!("cvt.{round}.f32.s64 d, a;"),
            "f32",
            ["s64"],
            &[([odd], f(positive)), ([s(-(odd as i64))], f(negative))],
        );
    }
    table(
        "cvt.rn.f32.u32 d, a;",
        "f32",
        ["u32"],
        &[([0xffff_ffff], f(4_294_967_296.0)), ([3], f(3.0))],
    );
    table("cvt.rn.f32.u64 d, a;", "f32", ["u64"], &[([u64::MAX], f(1.844_674_4e19))]);
    table(
        "cvt.rn.f64.u64 d, a;",
        "f64",
        ["u64"],
        &[
            ([(1 << 53) + 1], d(9_007_199_254_740_992.0)),
            ([u64::MAX], d(18_446_744_073_709_551_616.0)),
        ],
    );
    table("cvt.rp.f64.u64 d, a;", "f64", ["u64"], &[([(1 << 53) + 1], d(9_007_199_254_740_994.0))]);
    table("cvt.rn.f64.s32 d, a;", "f64", ["s32"], &[([s(-3)], d(-3.0))]);
    table("cvt.rn.f32.s8 d, a;", "f32", ["s32"], &[([0x1ff], f(-1.0))]);
    table("cvt.rn.f32.u16 d, a;", "f32", ["u16"], &[([0xffff], f(65535.0))]);
    table(
        "cvt.rn.f16.s32 d, a;",
        "f16",
        ["s32"],
        &[([2049], 0x6800), ([2051], 0x6802), ([70000], 0x7c00), ([s(-2)], 0xc000)],
    );
}

#[test]
fn floats_to_floats() {
    table("cvt.f64.f32 d, a;", "f64", ["f32"], &[([f(1.5)], d(1.5)), ([1], d(2f64.powi(-149)))]);
    let between = 1.0 + 2f64.powi(-30);
    for (round, expected) in [("rn", 1.0), ("rz", 1.0), ("rm", 1.0), ("rp", 1f32.next_up())] {
        table(
            &format!("cvt.{round}.f32.f64 d, a;"),
            "f32",
            ["f64"],
            &[([d(between)], f(expected))],
        );
    }
    table(
        "cvt.rn.f32.f64 d, a;",
        "f32",
        ["f64"],
        &[
            ([d(1e300)], f(f32::INFINITY)),
            ([d(f64::NAN)], 0x7fff_ffff),
            ([d(2f64.powi(-149))], 1),
            ([d(2f64.powi(-150))], 0),
        ],
    );
    table(
        "cvt.rz.f32.f64 d, a;",
        "f32",
        ["f64"],
        &[([d(1e300)], 0x7f7f_ffff), ([d(-1e300)], 0xff7f_ffff)],
    );
    table("cvt.rn.ftz.f32.f64 d, a;", "f32", ["f64"], &[([d(2f64.powi(-149))], 0)]);
    table(
        "cvt.f32.f16 d, a;",
        "f32",
        ["f16"],
        &[
            ([0x3c00], f(1.0)),
            ([0x0001], f(2f32.powi(-24))),
            ([0xfc00], f(f32::NEG_INFINITY)),
            ([0x7bff], f(65504.0)),
        ],
    );
    table(
        "cvt.rn.f16.f32 d, a;",
        "f16",
        ["f32"],
        &[
            ([f(1.0)], 0x3c00),
            ([f(65504.0)], 0x7bff),
            ([f(65519.0)], 0x7bff),
            ([f(65520.0)], 0x7c00),
            ([f(2f32.powi(-24))], 0x0001),
            ([f(2f32.powi(-25))], 0x0000),
            ([f(1.0 + 2f32.powi(-11))], 0x3c00),
            ([f(1.0 + 3.0 * 2f32.powi(-11))], 0x3c02),
            ([0x7fc0_0000], 0x7fff),
        ],
    );
    table(
        "cvt.rz.f16.f32 d, a;",
        "f16",
        ["f32"],
        &[([f(1e9)], 0x7bff), ([f(1.0 + 3.0 * 2f32.powi(-11))], 0x3c01)],
    );
    table(
        "cvt.rn.bf16.f32 d, a;",
        "bf16",
        ["f32"],
        &[
            ([0x3f80_8000], 0x3f80),
            ([0x3f81_8000], 0x3f82),
            ([0x3f80_8001], 0x3f81),
            ([0x7f7f_ffff], 0x7f80),
            ([0x7fc0_0001], 0x7fff),
        ],
    );
    table(
        "cvt.rz.bf16.f32 d, a;",
        "bf16",
        ["f32"],
        &[([0x3f80_ffff], 0x3f80), ([0x7f7f_ffff], 0x7f7f)],
    );
    table("cvt.rn.relu.bf16.f32 d, a;", "bf16", ["f32"], &[([f(-1.0)], 0), ([f(2.0)], 0x4000)]);
    table(
        "cvt.f32.bf16 d, a;",
        "f32",
        ["bf16"],
        &[([0x3f81], 0x3f81_0000), ([0x0001], 0x0001_0000)],
    );
    table("cvt.rn.bf16x2.f32 d, a, b;", "b32", ["f32", "f32"], &[([f(1.0), f(2.0)], 0x3f80_4000)]);
    table("cvt.rn.f16x2.f32 d, a, b;", "b32", ["f32", "f32"], &[([f(1.0), f(-2.0)], 0x3c00_c000)]);
    table(
        "cvt.rna.tf32.f32 d, a;",
        "b32",
        ["f32"],
        &[([0x3f80_1000], 0x3f80_2000), ([0x3f80_0fff], 0x3f80_0000)],
    );
}

#[test]
fn moves_pack_and_unpack() {
    table("mov.b64 d, {a, b};", "b64", ["b32", "b32"], &[([0x1111, 0x2222], 0x2222_0000_1111)]);
    table("mov.b32 d, {a, b};", "b32", ["b16", "b16"], &[([0x1111, 0x2222], 0x2222_1111)]);
    table("{.reg .b32 %x; mov.b64 {%x, d}, a;}", "b32", ["b64"], &[([0x2222_0000_1111], 0x2222)]);
    table("mov.b64 {_, d}, a;", "b32", ["b64"], &[([0x2222_0000_1111], 0x2222)]);
    table("mov.b32 {d, _}, a;", "b16", ["b32"], &[([0x2222_1111], 0x1111)]);
    table("mov.pred d, a;", "pred", ["pred"], &[([1], 1), ([0], 0)]);
    table("mov.f64 d, 0d3FF0000000000000;", "f64", ["f64"], &[([0], d(1.0))]);
    table("mov.f32 d, 0fBF800000;", "f32", ["f32"], &[([0], f(-1.0))]);
    table("mov.u32 d, 0x7b;", "u32", ["u32"], &[([0], 123)]);
    table("mov.u32 d, %ntid.x;", "u32", ["u32"], &[([0], 3), ([0], 3), ([0], 3)]);
    table("mov.u32 d, %laneid;", "u32", ["u32"], &[([0], 0), ([0], 1), ([0], 2)]);
    table("mov.u32 d, %lanemask_lt;", "u32", ["u32"], &[([0], 0), ([0], 1), ([0], 3)]);
    table("mov.u32 d, %lanemask_ge;", "u32", ["u32"], &[([0], 0xffff_ffff), ([0], 0xffff_fffe)]);
}

/// As in C; the results are Python's, or worked out by hand.
#[test]
fn constants_are_folded() {
    for (constant, expected) in [
        ("4*8", 32),
        ("(1<<4)|3", 19),
        ("~5", s(-6)),
        ("-(3-5)*2", 4),
        ("7%3 + 20/6", 4),
        ("1 << 2 + 1", 8),
        ("10 - 4 - 3", 3),
        ("6 & 3 == 3", 0),
        ("1 | 6 ^ 3 & 5", 7),
        ("2 > 1 ? 10 : 20", 10),
        ("1 >= 2 ? 10 : 0 ? 20 : 30", 30),
        ("!0 || 0 && 1", 1),
        ("(.u64) 0xF0 >> 4", 15),
    ] {
        table(&format!("mov.b64 d, {constant};"), "b64", ["b64"], &[([0], expected)]);
    }
    table("mov.u16 d, ~0;", "u16", ["u16"], &[([0], 0xffff)]);
    table("add.f32 d, a, -0f3F800000;", "f32", ["f32"], &[([f(3.0)], f(2.0))]);
    table("ld.global.u32 d, [%in+4*4-2*4];", "u32", ["u32"; 2], &[([5, 6], 6)]);
    table("ld.global.u32 d, [%in - -(1 << 3)];", "u32", ["u32"; 2], &[([5, 6], 6)]);
}

/// `d = c << 2n | saturated a << n | saturated b`, for integers of n bits.
#[test]
fn small_integers_are_packed() {
    for (ty, [a, b, c], expected) in [
        ("s4", [100, s(-100), 0x123], 0x1_2378u64),
        ("u4", [s(-1), 15, 0x123], 0x1_230f),
        ("s2", [1, s(-9), 5], 0x56),
        ("u2", [9, s(-1), 5], 0x5c),
    ] {
        let line = format!("cvt.pack.sat.{ty}.s32.b32 d, a, b, c;");
        table(&line, "b32", ["s32", "s32", "b32"], &[([a, b, c], expected)]);
    }
}
