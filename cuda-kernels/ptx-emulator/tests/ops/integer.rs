//! Integer arithmetic, bits and shifts.

use crate::harness::{results, s, table};

const MIN32: u64 = 0x8000_0000;
const MAX32: u64 = 0x7fff_ffff;

#[test]
fn add_and_sub_wrap_and_saturate() {
    table(
        "add.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([1, 2], 3), ([MAX32, 1], MIN32), ([0xffff_ffff, 1], 0)],
    );
    table(
        "add.sat.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([MAX32, 1], MAX32), ([MIN32, s(-1)], MIN32), ([5, s(-7)], s(-2))],
    );
    table("sub.u64 d, a, b;", "u64", ["u64", "u64"], &[([0, 1], u64::MAX), ([5, 3], 2)]);
    table(
        "sub.sat.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([MIN32, 1], MIN32), ([MAX32, s(-1)], MAX32), ([0, MIN32], MAX32)],
    );
    table("add.u16 d, a, b;", "u16", ["u16", "u16"], &[([0xffff, 2], 1), ([7, 8], 15)]);
    table("sub.s16 d, a, b;", "s16", ["s16", "s16"], &[([0, 1], 0xffff), ([0x8000, 1], 0x7fff)]);
    table("add.s64 d, a, b;", "s64", ["s64", "s64"], &[([s(-1), 1], 0), ([1 << 63, 1 << 63], 0)]);
}

#[test]
fn products_low_high_and_wide() {
    table(
        "mul.lo.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([s(-3), 7], s(-21)), ([0x10000, 0x10000], 0)],
    );
    table(
        "mul.hi.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([s(-1), 1], s(-1)), ([0x4000_0000, 4], 1), ([MIN32, MIN32], 0x4000_0000)],
    );
    table(
        "mul.hi.u32 d, a, b;",
        "u32",
        ["u32", "u32"],
        &[([0xffff_ffff, 0xffff_ffff], 0xffff_fffe), ([MIN32, 2], 1)],
    );
    table("mul.hi.u64 d, a, b;", "u64", ["u64", "u64"], &[([u64::MAX, u64::MAX], u64::MAX - 1)]);
    table(
        "mul.hi.s64 d, a, b;",
        "s64",
        ["s64", "s64"],
        &[([s(-1), s(-1)], 0), ([s(-1), 1], s(-1))],
    );
    table(
        "mul.wide.s32 d, a, b;",
        "s64",
        ["s32", "s32"],
        &[([s(-2), 3], s(-6)), ([MIN32, MIN32], 1 << 62)],
    );
    table(
        "mul.wide.u32 d, a, b;",
        "u64",
        ["u32", "u32"],
        &[([0xffff_ffff, 0xffff_ffff], 0xffff_fffe_0000_0001)],
    );
    table("mul.wide.s16 d, a, b;", "s32", ["s16", "s16"], &[([0xffff, 5], s(-5))]);
    table("mul.wide.u16 d, a, b;", "u32", ["u16", "u16"], &[([0xffff, 0xffff], 0xfffe_0001)]);
    table("mul.lo.u16 d, a, b;", "u16", ["u16", "u16"], &[([300, 300], 90000 & 0xffff)]);
    table("mul.hi.s16 d, a, b;", "s16", ["s16", "s16"], &[([0x8000, 2], 0xffff)]);
    table(
        "mul24.lo.s32 d, a, b;",
        "s32",
        ["s32", "s32"],
        &[([0x0080_0000, 2], s(-0x100_0000)), ([0xff00_0003, 5], 15)],
    );
    table("mul24.hi.u32 d, a, b;", "u32", ["u32", "u32"], &[([0xff_ffff, 0xff_ffff], 0xffff_fe00)]);
}

#[test]
fn multiply_and_add() {
    table("mad.lo.s32 d, a, b, c;", "s32", ["s32", "s32", "s32"], &[([3, s(-4), 5], s(-7))]);
    table("mad.hi.u32 d, a, b, c;", "u32", ["u32", "u32", "u32"], &[([MIN32, 4, 9], 11)]);
    table(
        "mad.hi.sat.s32 d, a, b, c;",
        "s32",
        ["s32", "s32", "s32"],
        &[([0x4000_0000, 4, MAX32], MAX32), ([MIN32, 2, MIN32], MIN32)],
    );
    table(
        "mad.wide.u32 d, a, b, c;",
        "u64",
        ["u32", "u32", "u64"],
        &[([0xffff_ffff, 2, 1 << 40], (1 << 40) + 0x1_ffff_fffe)],
    );
    table("mad.wide.s16 d, a, b, c;", "s32", ["s16", "s16", "s32"], &[([0xffff, 3, 10], 7)]);
    table("mad.lo.u64 d, a, b, c;", "u64", ["u64", "u64", "u64"], &[([1 << 40, 1 << 30, 5], 5)]);
    table("mad24.lo.u32 d, a, b, c;", "u32", ["u32", "u32", "u32"], &[([0x0100_0002, 3, 1], 7)]);
    table("sad.s32 d, a, b, c;", "s32", ["s32", "s32", "s32"], &[([s(-5), 7, 100], 112)]);
    table(
        "sad.u32 d, a, b, c;",
        "u32",
        ["u32", "u32", "u32"],
        &[([0xffff_fffb, 7, 0], 0xffff_fff4)],
    );
}

#[test]
fn carries_go_from_one_instruction_to_the_next() {
    let line = "add.cc.u32 a, a, b; addc.u32 d, c, e;";
    table(
        line,
        "u32",
        ["u32", "u32", "u32", "u32"],
        &[
            ([0xffff_ffff, 1, 0, 0], 1),
            ([0xffff_fffe, 1, 0, 0], 0),
            ([0xffff_ffff, 1, 0xffff_ffff, 0], 0),
        ],
    );
    let line = "sub.cc.u32 a, a, b; subc.u32 d, c, e;";
    table(
        line,
        "u32",
        ["u32", "u32", "u32", "u32"],
        &[([0, 1, 5, 2], 2), ([1, 1, 5, 2], 3), ([0, 1, 0, 0], 0xffff_ffff)],
    );
    // The ISA's own example: a 64-bit product of 32-bit parts.
    let line = "mul.lo.u32 c, a, b; mad.hi.cc.u32 e, a, b, 0xffffffff; madc.lo.u32 d, c, 0, 0;";
    table(
        line,
        "u32",
        ["u32", "u32", "u32", "u32"],
        &[([0x8000_0000, 2, 0, 0], 1), ([2, 2, 0, 0], 0)],
    );
    let line = "add.cc.u64 a, a, b; addc.cc.u64 c, c, c; addc.u64 d, e, e;";
    table(
        line,
        "u64",
        ["u64", "u64", "u64", "u64"],
        &[([u64::MAX, 1, 1 << 63, 0], 1), ([1, 1, 0, 0], 0)],
    );
}

#[test]
fn division() {
    table("div.s32 d, a, b;", "s32", ["s32", "s32"], &[([7, s(-2)], s(-3)), ([s(-7), 2], s(-3))]);
    table("rem.s32 d, a, b;", "s32", ["s32", "s32"], &[([s(-7), 2], s(-1)), ([7, s(-2)], 1)]);
    table("div.u32 d, a, b;", "u32", ["u32", "u32"], &[([0xffff_ffff, 2], MAX32)]);
    table("rem.u64 d, a, b;", "u64", ["u64", "u64"], &[([u64::MAX, 10], 5)]);
    table("div.s64 d, a, b;", "s64", ["s64", "s64"], &[([s(-9), 4], s(-2))]);
    table("div.u16 d, a, b;", "u16", ["u16", "u16"], &[([0xffff, 16], 0xfff)]);
    table("rem.s16 d, a, b;", "s16", ["s16", "s16"], &[([0xfff9, 4], 0xfffd)]);
}

/// The ISA leaves these unspecified ("machine-specific"): they must not stop the emulator.
#[test]
fn division_by_zero_and_its_overflow_give_some_value() {
    for line in ["div.s32 d, a, b;", "rem.s32 d, a, b;", "div.u32 d, a, b;", "rem.u32 d, a, b;"] {
        results(line, "s32", &["s32", "s32"], &[&[5, 0], &[MIN32, s(-1)], &[0, 0]]);
    }
    for line in ["div.s64 d, a, b;", "rem.s64 d, a, b;", "div.u64 d, a, b;", "rem.u64 d, a, b;"] {
        results(line, "s64", &["s64", "s64"], &[&[5, 0], &[1 << 63, s(-1)], &[0, 0]]);
    }
    for line in ["div.s16 d, a, b;", "rem.s16 d, a, b;"] {
        results(line, "s16", &["s16", "s16"], &[&[5, 0], &[0x8000, 0xffff]]);
    }
}

#[test]
fn signs_and_extremes() {
    table("neg.s32 d, a;", "s32", ["s32"], &[([5], s(-5)), ([MIN32], MIN32)]);
    table("abs.s32 d, a;", "s32", ["s32"], &[([s(-5)], 5), ([MIN32], MIN32)]);
    table("abs.s64 d, a;", "s64", ["s64"], &[([s(-5)], 5)]);
    table("neg.s16 d, a;", "s16", ["s16"], &[([1], 0xffff)]);
    table("min.s32 d, a, b;", "s32", ["s32", "s32"], &[([s(-1), 1], s(-1))]);
    table("min.u32 d, a, b;", "u32", ["u32", "u32"], &[([0xffff_ffff, 1], 1)]);
    table("max.s64 d, a, b;", "s64", ["s64", "s64"], &[([s(-1), 1], 1)]);
    table("max.u64 d, a, b;", "u64", ["u64", "u64"], &[([u64::MAX, 1], u64::MAX)]);
    table("min.s16 d, a, b;", "s16", ["s16", "s16"], &[([0xffff, 1], 0xffff)]);
    table("max.u16 d, a, b;", "u16", ["u16", "u16"], &[([0xffff, 1], 0xffff)]);
}

/// "Shift amounts greater than the register width N are clamped to N."
#[test]
fn shifts_clamp() {
    table(
        "shl.b32 d, a, b;",
        "b32",
        ["b32", "u32"],
        &[([1, 31], MIN32), ([1, 32], 0), ([0xffff_ffff, 33], 0), ([1, 0xffff_ffff], 0)],
    );
    table(
        "shr.u32 d, a, b;",
        "u32",
        ["u32", "u32"],
        &[([MIN32, 31], 1), ([MIN32, 32], 0), ([MIN32, 64], 0)],
    );
    table(
        "shr.s32 d, a, b;",
        "s32",
        ["s32", "u32"],
        &[([MIN32, 31], 0xffff_ffff), ([MIN32, 32], 0xffff_ffff), ([MAX32, 500], 0)],
    );
    table("shl.b64 d, a, b;", "b64", ["b64", "u32"], &[([1, 63], 1 << 63), ([1, 64], 0)]);
    table(
        "shr.s64 d, a, b;",
        "s64",
        ["s64", "u32"],
        &[([1 << 63, 64], u64::MAX), ([1 << 63, 1], 3 << 62)],
    );
    table("shr.u64 d, a, b;", "u64", ["u64", "u32"], &[([1 << 63, 63], 1), ([1 << 63, 99], 0)]);
    table("shl.b16 d, a, b;", "b16", ["b16", "u32"], &[([0xffff, 15], 0x8000), ([1, 16], 0)]);
    table(
        "shr.s16 d, a, b;",
        "s16",
        ["s16", "u32"],
        &[([0x8000, 20], 0xffff), ([0x8000, 3], 0xf000)],
    );
    table("shr.u16 d, a, b;", "u16", ["u16", "u32"], &[([0x8000, 16], 0), ([0x8000, 15], 1)]);
}

#[test]
fn funnel_shifts() {
    let types = ["b32", "b32", "u32"];
    table(
        "shf.l.clamp.b32 d, a, b, c;",
        "b32",
        types,
        &[
            ([0x8000_0001, 0x1, 4], 0x18),
            ([0x1234_5678, 0xffff_ffff, 32], 0x1234_5678),
            ([0x1234_5678, 0xffff_ffff, 40], 0x1234_5678),
            ([7, 9, 0], 9),
        ],
    );
    table(
        "shf.l.wrap.b32 d, a, b, c;",
        "b32",
        types,
        &[([0x8000_0001, 0x1, 36], 0x18), ([0x1234_5678, 9, 32], 9)],
    );
    table(
        "shf.r.clamp.b32 d, a, b, c;",
        "b32",
        types,
        &[
            ([0x10, 0xf, 4], 0xf000_0001),
            ([1, 0xabcd_ef01, 32], 0xabcd_ef01),
            ([1, 0xabcd_ef01, 99], 0xabcd_ef01),
        ],
    );
    table(
        "shf.r.wrap.b32 d, a, b, c;",
        "b32",
        types,
        &[([0x10, 0xf, 36], 0xf000_0001), ([5, 6, 32], 5)],
    );
}

#[test]
fn bit_counts_and_order() {
    table("popc.b32 d, a;", "u32", ["b32"], &[([0], 0), ([0xffff_ffff], 32), ([0x8001], 2)]);
    table("popc.b64 d, a;", "u32", ["b64"], &[([u64::MAX], 64), ([1 << 63], 1)]);
    table("clz.b32 d, a;", "u32", ["b32"], &[([0], 32), ([1], 31), ([MIN32], 0)]);
    table("clz.b64 d, a;", "u32", ["b64"], &[([0], 64), ([1], 63)]);
    table("brev.b32 d, a;", "b32", ["b32"], &[([1], MIN32), ([0x1234_5678], 0x1e6a_2c48)]);
    table("brev.b64 d, a;", "b64", ["b64"], &[([1], 1 << 63)]);
    table("bfind.u32 d, a;", "u32", ["u32"], &[([0], 0xffff_ffff), ([1], 0), ([MIN32], 31)]);
    table(
        "bfind.s32 d, a;",
        "u32",
        ["s32"],
        &[([s(-1)], 0xffff_ffff), ([s(-2)], 0), ([MIN32], 30), ([0], 0xffff_ffff), ([5], 2)],
    );
    table(
        "bfind.shiftamt.u32 d, a;",
        "u32",
        ["u32"],
        &[([1], 31), ([MIN32], 0), ([0], 0xffff_ffff)],
    );
    table("bfind.u64 d, a;", "u32", ["u64"], &[([1 << 40], 40)]);
    table("bfind.s64 d, a;", "u32", ["s64"], &[([s(-1) << 40], 39)]);
    table("cnot.b32 d, a;", "b32", ["b32"], &[([0], 1), ([7], 0)]);
    table("not.b32 d, a;", "b32", ["b32"], &[([0xf0], 0xffff_ff0f)]);
    table("not.b16 d, a;", "b16", ["b16"], &[([0xf0], 0xff0f)]);
    table("xor.b64 d, a, b;", "b64", ["b64", "b64"], &[([0xff, 0xf0], 0x0f)]);
    table("and.b16 d, a, b;", "b16", ["b16", "b16"], &[([0xff0, 0xf0f], 0xf00)]);
    table("or.pred d, a, b;", "pred", ["pred", "pred"], &[([0, 0], 0), ([0, 1], 1)]);
    table("and.pred d, a, b;", "pred", ["pred", "pred"], &[([1, 0], 0), ([1, 1], 1)]);
    table("xor.pred d, a, b;", "pred", ["pred", "pred"], &[([1, 1], 0), ([1, 0], 1)]);
    table("not.pred d, a;", "pred", ["pred"], &[([1], 0), ([0], 1)]);
    table(
        "fns.b32 d, a, b, c;",
        "b32",
        ["b32", "b32", "s32"],
        &[
            ([0b1011_0000, 0, 1], 4),
            ([0b1011_0000, 0, 3], 7),
            ([0b1011_0000, 6, s(-1)], 5),
            ([0b1011_0000, 0, 4], 0xffff_ffff),
            ([0b1011_0000, 5, 0], 5),
            ([0b1011_0000, 6, 0], 0xffff_ffff),
        ],
    );
    table(
        "bmsk.clamp.b32 d, a, b;",
        "b32",
        ["u32", "u32"],
        &[([4, 8], 0xff0), ([0, 32], 0xffff_ffff), ([0, 99], 0xffff_ffff), ([32, 4], 0)],
    );
    table("bmsk.wrap.b32 d, a, b;", "b32", ["u32", "u32"], &[([36, 40], 0xff0), ([0, 32], 0)]);
    table(
        "szext.clamp.s32 d, a, b;",
        "s32",
        ["s32", "u32"],
        &[([0xff, 8], s(-1)), ([0xff, 9], 0xff), ([7, 50], 7)],
    );
    table("szext.wrap.u32 d, a, b;", "u32", ["u32", "u32"], &[([0xabcd, 40], 0xcd), ([5, 32], 0)]);
}

#[test]
fn bit_fields() {
    let types = ["u32", "u32", "u32"];
    table(
        "bfe.u32 d, a, b, c;",
        "u32",
        types,
        &[
            ([0xabcd_1234, 8, 8], 0x12),
            ([0xabcd_1234, 24, 16], 0xab),
            ([0xabcd_1234, 0, 0], 0),
            ([0xabcd_1234, 32, 8], 0),
            ([0xabcd_1234, 0x108, 0x108], 0x12),
            ([0xabcd_1234, 0, 32], 0xabcd_1234),
            ([0xabcd_1234, 0, 255], 0xabcd_1234),
        ],
    );
    table(
        "bfe.s32 d, a, b, c;",
        "s32",
        ["s32", "u32", "u32"],
        &[
            ([0x0000_f000, 12, 4], s(-1)),
            ([0x0000_7000, 12, 4], 7),
            // Above the top comes the sign.
            ([MIN32, 28, 8], s(-8)),
            ([MIN32, 40, 8], s(-1)),
            ([MAX32, 40, 8], 0),
            ([MIN32, 31, 0], 0),
        ],
    );
    table(
        "bfe.u64 d, a, b, c;",
        "u64",
        ["u64", "u32", "u32"],
        &[([0xff << 40, 36, 8], 0xf0), ([5, 64, 3], 0)],
    );
    table("bfe.s64 d, a, b, c;", "s64", ["s64", "u32", "u32"], &[([1 << 63, 60, 8], s(-8))]);
    let types = ["b32", "b32", "u32", "u32"];
    table(
        "bfi.b32 d, a, b, c, e;",
        "b32",
        types,
        &[
            ([0xff, 0, 8, 4], 0xf00),
            ([0x5, 0xffff_ffff, 4, 4], 0xffff_ff5f),
            ([0xff, 0x77, 32, 4], 0x77),
            ([0xff, 0x77, 0, 0], 0x77),
            ([0xff, 0, 28, 200], 0xf000_0000),
        ],
    );
    table(
        "bfi.b64 d, a, b, c, e;",
        "b64",
        ["b64", "b64", "u32", "u32"],
        &[([3, 0, 62, 2], 3 << 62), ([u64::MAX, 0, 0, 64], u64::MAX)],
    );
}

#[test]
fn byte_permutations() {
    let types = ["b32", "b32", "b32"];
    let (a, b) = (0x3322_1100, 0xf766_5544);
    table(
        "prmt.b32 d, a, b, c;",
        "b32",
        types,
        &[
            ([a, b, 0x3210], a),
            ([a, b, 0x7654], b),
            ([a, b, 0x0123], 0x0011_2233),
            // The selector's top bit replicates the byte's sign.
            ([a, b, 0x000f], 0x0000_00ff),
            ([a, b, 0x0008], 0x0000_0000),
        ],
    );
    table(
        "prmt.b32.f4e d, a, b, c;",
        "b32",
        types,
        &[([a, b, 0], a), ([a, b, 1], 0x4433_2211), ([a, b, 3], 0x6655_4433)],
    );
    table(
        "prmt.b32.b4e d, a, b, c;",
        "b32",
        types,
        &[([a, b, 0], 0x5566_f700), ([a, b, 3], 0x0011_2233)],
    );
    table("prmt.b32.rc8 d, a, b, c;", "b32", types, &[([a, b, 2], 0x2222_2222)]);
    table("prmt.b32.ecl d, a, b, c;", "b32", types, &[([a, b, 0], a), ([a, b, 2], 0x3322_2222)]);
    table(
        "prmt.b32.ecr d, a, b, c;",
        "b32",
        types,
        &[([a, b, 0], 0), ([a, b, 2], 0x2222_1100), ([a, b, 3], a)],
    );
    table(
        "prmt.b32.rc16 d, a, b, c;",
        "b32",
        types,
        &[([a, b, 0], 0x1100_1100), ([a, b, 1], 0x3322_3322)],
    );
}

/// The table is the function applied to 0xF0, 0xCC and 0xAA.
#[test]
fn lop3_looks_up() {
    let rows = [
        (0x80, 0xaau64 & 0xcc & 0xf0),
        (0xfe, 0xfa | 0xcc),
        (0x96, 0xf0 ^ 0xcc ^ 0xaa),
        (0xe2, 0xe2),
        (0x00, 0),
    ];
    for (lut, expected) in rows {
        let line = format!("lop3.b32 d, a, b, c, {lut:#x};");
        table(
            &line,
            "b32",
            ["b32", "b32", "b32"],
            &[([0xf0, 0xcc, 0xaa], expected & 0xff)]
                .map(|(i, e)| (i, if lut & 1 == 1 { e | 0xffff_ff00 } else { e })),
        );
    }
}

#[test]
fn dot_products() {
    let types = ["b32", "b32", "s32"];
    table(
        "dp4a.s32.s32 d, a, b, c;",
        "s32",
        types,
        &[([0x01ff_02fe, 0x0101_0101, 10], 10 + 1 - 1 + 2 - 2)],
    );
    table(
        "dp4a.u32.u32 d, a, b, c;",
        "u32",
        types,
        &[([0xffff_ffff, 0xffff_ffff, 0], 4 * 255 * 255)],
    );
    table("dp4a.s32.u32 d, a, b, c;", "s32", types, &[([0x0000_00ff, 0x0000_00ff, 0], s(-255))]);
    table(
        "dp2a.lo.s32.s32 d, a, b, c;",
        "s32",
        types,
        &[([0xffff_0003, 0x0500_0204, 1], 1 + 12 - 2)],
    );
    table(
        "dp2a.hi.s32.s32 d, a, b, c;",
        "s32",
        types,
        &[([0xffff_0003, 0x0506_0204, 1], 1 + 18 - 5)],
    );
}

#[test]
fn selections() {
    table("selp.b32 d, a, b, c;", "b32", ["b32", "b32", "pred"], &[([1, 2, 1], 1), ([1, 2, 0], 2)]);
    table(
        "selp.b64 d, a, b, c;",
        "b64",
        ["b64", "b64", "pred"],
        &[([1 << 40, 2, 1], 1 << 40), ([1, 2, 0], 2)],
    );
    table(
        "slct.u32.s32 d, a, b, c;",
        "u32",
        ["u32", "u32", "s32"],
        &[([1, 2, 0], 1), ([1, 2, s(-1)], 2)],
    );
    table(
        "slct.b64.f32 d, a, b, c;",
        "b64",
        ["b64", "b64", "f32"],
        &[([1, 2, 0x8000_0000], 1), ([1, 2, 0xbf80_0000], 2), ([1, 2, 0x7fc0_0000], 2)],
    );
}
