//! Loads and stores of every width and space, atomics, calls.

use crate::harness::{d, f, kernel, s, table};

#[test]
fn narrow_loads_extend() {
    let bytes = "ld.global.TYPE d, [%in];";
    for (ty, out, input, expected) in [
        ("u8", "u32", 0x1ffu64, 0xffu64),
        ("s8", "u32", 0x180, 0xffff_ff80),
        ("u16", "u32", 0xf_8000, 0x8000),
        ("s16", "u32", 0xf_8000, 0xffff_8000),
        ("b8", "u64", 0x1ff, 0xff),
        ("s8", "u64", 0x80, s(-128)),
        ("s32", "u64", 0x8000_0000, s(-(1 << 31))),
        ("u32", "u64", 0x8000_0000, 0x8000_0000),
        ("u8", "u16", 0x1f0, 0xf0),
        ("s8", "u16", 0x1f0, 0xfff0),
        ("f32", "f32", 0x3f80_0000, f(1.0)),
        ("f64", "f64", d(2.5), d(2.5)),
    ] {
        table(&bytes.replace("TYPE", ty), out, ["u64"], &[([input], expected)]);
    }
}

#[test]
fn narrow_stores_keep_their_neighbours() {
    for (line, expected) in [
        ("st.global.u8 [%in+1], a; ld.global.u32 d, [%in];", 0xffff_55ffu64),
        ("st.global.u16 [%in+2], a; ld.global.u32 d, [%in];", 0xff55_ffff),
        ("st.global.b32 [%in+-0], a; ld.global.u32 d, [%in];", 0xff55),
    ] {
        let line = format!(
            ".reg .b32 x; mov.b32 x, 0xffffffff; mov.b32 a, 0xff55; st.global.b32 [%in], x; {line}"
        );
        table(&line, "u32", ["u32"], &[([0], expected)]);
    }
}

#[test]
fn vectors_and_spaces() {
    let line = "
.shared .align 16 .b8 sh[64]; .local .align 16 .b8 lo[32]; .reg .b32 x<5>; .reg .b64 g, h;
mov.b32 x0, 1; mov.b32 x1, 2; mov.b32 x2, 3; mov.b32 x3, 4;
st.shared.v4.u32 [sh+16], {x0, x1, x2, x3};
ld.shared.v2.u32 {x3, x0}, [sh+24];
st.local.v2.u32 [lo+8], {x3, x0};
mov.u64 g, lo; cvta.local.u64 h, g;
ld.u32 x1, [h+12];
mov.u64 g, sh; cvta.shared.u64 h, g;
ld.v4.u32 {x0, _, x2, _}, [h+16];
mad.lo.u32 x2, x2, 10, x0;
mad.lo.u32 d, x1, 100, x2;
";
    table(line, "u32", ["u32"], &[([0], 4 * 100 + 3 * 10 + 1)]);
    let spaces = "
.shared .align 4 .b8 sh[4]; .reg .b64 g; .reg .pred s, t; .reg .b32 x;
mov.u64 g, sh; cvta.shared.u64 g, g; isspacep.shared s, g; isspacep.global t, g;
selp.u32 d, 1, 0, s; selp.u32 x, 2, 0, t; or.b32 d, d, x;
isspacep.global t, %in; selp.u32 x, 4, 0, t; or.b32 d, d, x;
cvta.to.shared.u64 g, g; setp.eq.u64 s, g, 0; selp.u32 x, 8, 0, s; or.b32 d, d, x;";
    table(spaces, "u32", ["u32"], &[([0], 13)]);
}

/// Old and new value, as the ISA defines each operation.
#[test]
fn atomics() {
    let table_of = [
        ("add.u32", 5u64, 7u64, 5u64, 12u64),
        ("min.s32", s(-1) & 0xffff_ffff, 3, 0xffff_ffff, 0xffff_ffff),
        ("min.u32", 0xffff_ffff, 3, 0xffff_ffff, 3),
        ("max.s32", 0xffff_ffff, 3, 0xffff_ffff, 3),
        ("and.b32", 0xff, 0x0f, 0xff, 0x0f),
        ("or.b32", 0xf0, 0x0f, 0xf0, 0xff),
        ("xor.b32", 0xff, 0x0f, 0xff, 0xf0),
        ("exch.b32", 1, 2, 1, 2),
        // inc: (old >= b) ? 0 : old + 1; dec: (old == 0 or old > b) ? b : old - 1.
        ("inc.u32", 7, 7, 7, 0),
        ("inc.u32", 6, 7, 6, 7),
        ("dec.u32", 0, 7, 0, 7),
        ("dec.u32", 9, 7, 9, 7),
        ("dec.u32", 5, 7, 5, 4),
        ("add.f32", f(1.5), f(2.0), f(1.5), f(3.5)),
    ];
    for (op, start, operand, old, new) in table_of {
        let global = format!("atom.global.{op} d, [%in], b;");
        table(&global, "u32", ["u32", "u32"], &[([start, operand], old)]);
        table(
            &format!("{global} ld.global.u32 d, [%in];"),
            "u32",
            ["u32", "u32"],
            &[([start, operand], new)],
        );
        let shared = format!(
            ".shared .align 4 .b8 sh[4]; st.shared.u32 [sh], a; red.shared.{op} [sh], b; ld.shared.u32 d, [sh];"
        );
        table(&shared, "u32", ["u32", "u32"], &[([start, operand], new)]);
        table(
            &format!("red.{op} [%in], b; ld.global.u32 d, [%in];"),
            "u32",
            ["u32", "u32"],
            &[([start, operand], new)],
        );
    }
    table(
        "atom.global.cas.b32 d, [%in], b, c; ld.global.u32 d, [%in];",
        "u32",
        ["u32"; 3],
        &[([5, 5, 9], 9), ([5, 6, 9], 5)],
    );
    table(
        "atom.global.add.u64 d, [%in], b; ld.global.u64 d, [%in];",
        "u64",
        ["u64"; 2],
        &[([u64::MAX, 2], 1)],
    );
    table(
        "atom.global.add.f64 d, [%in], b; ld.global.u64 d, [%in];",
        "f64",
        ["f64"; 2],
        &[([d(1.0), d(2.0)], d(3.0))],
    );
    table(
        "atom.global.cas.b16 d, [%in], b, c; ld.global.b16 d, [%in];",
        "b16",
        ["b16", "b16", "b16"],
        &[([0xffff, 0xffff, 7], 7), ([0xffff, 0x7fff, 7], 0xffff), ([5, 5, 0x8000], 0x8000)],
    );
    table(
        "atom.global.cas.b64 d, [%in], b, c; ld.global.u64 d, [%in];",
        "u64",
        ["u64"; 3],
        &[([5, 5, 1 << 40], 1 << 40)],
    );
    table(
        "atom.global.max.s64 d, [%in], b; ld.global.u64 d, [%in];",
        "u64",
        ["u64"; 2],
        &[([s(-5), s(-4)], s(-4))],
    );
    table(
        "red.global.add.noftz.f16x2 [%in], b; ld.global.b32 d, [%in];",
        "b32",
        ["b32"; 2],
        &[([0x3c00_3c00, 0x3c00_4000], 0x4000_4200)],
    );
    table("atom.global.relaxed.gpu.add.u32 d, [%in], b;", "u32", ["u32"; 2], &[([1, 2], 1)]);
}

/// All lanes' additions to one address arrive, in any space.
#[test]
fn atomics_of_a_warp_on_one_place() {
    let text = "
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b64 %o; .reg .b32 %t, %x; .reg .pred %p;
.shared .align 4 .b8 sh[4];
ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
setp.eq.u32 %p, %t, 0;
mov.u32 %x, 0;
@%p st.shared.u32 [sh], %x;
bar.sync 0;
atom.shared.add.u32 %x, [sh], %t;
red.global.add.u32 [%o+4], 1;
bar.sync 0;
ld.shared.u32 %x, [sh];
@%p st.global.u32 [%o], %x;
ret;
}
";
    assert_eq!(kernel(text, 100, &[0], 2, true).unwrap(), [4950, 100]);
}

#[test]
fn calls_constants_and_module_variables() {
    let text = "
.const .align 4 .u32 table[] = {10, 4 * 5, 30, (1 << 5) | 8};
.const .v2 .u32 rows[][2] = {{{0, 1}}, {2, 3, 4}};
.global .attribute(.managed) .align 4 .f32 scale = 0f40000000;
.func (.param .b32 result) twice(.param .b32 x)
{
.reg .b32 %a; .reg .pred %p;
ld.param.b32 %a, [x];
setp.gt.u32 %p, %a, 25;
@%p bra BIG;
add.u32 %a, %a, %a;
st.param.b32 [result+0], %a;
ret;
BIG:
add.u32 %a, %a, 1;
st.param.b32 [result+0], %a;
ret;
}
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b64 %o, %c, %at; .reg .b32 %t, %x; .reg .f32 %f;
ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, 4;
add.s64 %o, %o, %at;
mov.u64 %c, table;
add.s64 %c, %c, %at;
ld.const.u32 %x, [%c];
{
.param .b32 p; .param .b32 r;
st.param.b32 [p+0], %x;
call.uni (r), twice, (p);
ld.param.b32 %x, [r+0];
}
cvt.rn.f32.u32 %f, %x;
{ .reg .f32 %s; ld.global.f32 %s, [scale]; mul.f32 %f, %f, %s; }
cvt.rni.u32.f32 %x, %f;
st.global.u32 [%o], %x;
ret;
}
";
    assert_eq!(kernel(text, 4, &[0], 4, true).unwrap(), [40, 80, 62, 82]);
    // As in C, a row with fewer numbers than it has elements ends in zeros.
    let text = text.replace("mov.u64 %c, table;", "mov.u64 %c, rows;");
    let expected = [0, 1, 0, 0, 2, 3, 4, 0].map(|x| 4 * x);
    assert_eq!(kernel(&text, 8, &[0], 8, true).unwrap(), expected);
}

/// Copies complete when waited for: before, shared memory still holds the old value.
#[test]
fn asynchronous_copies() {
    let text = "
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b64 %i, %o, %at; .reg .b32 %t, %a, %x, %y, %z;
.shared .align 16 .b8 sh[1024];
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, 16;
add.s64 %i, %i, %at;
mul.wide.u32 %at, %t, 12;
add.s64 %o, %o, %at;
mov.u32 %a, sh;
mad.lo.u32 %a, %t, 16, %a;
mov.u32 %x, 5;
st.shared.v4.u32 [%a], {%x, %x, %x, %x};
cp.async.ca.shared.global [%a], [%i], 16;
cp.async.commit_group;
cp.async.ca.shared.global [%a+4], [%i], 4, 0;
cp.async.commit_group;
ld.shared.u32 %x, [%a];
cp.async.wait_group 1;
ld.shared.u32 %y, [%a+4];
cp.async.wait_all;
ld.shared.u32 %z, [%a+4];
st.global.u32 [%o], %x;
st.global.u32 [%o+4], %y;
st.global.u32 [%o+8], %z;
ret;
}
";
    let input = [1, 2, 3, 4, 6, 7, 8, 9];
    assert_eq!(kernel(text, 2, &input, 6, false).unwrap(), [5, 2, 0, 5, 7, 0]);
    let fault = kernel(text, 2, &input, 6, true).unwrap_err();
    assert!(fault.contains("thread 0 is still copying to"), "{fault}");
}

/// A source that is to be ignored is not read: zeros come instead.
#[test]
fn asynchronous_copies_of_ignored_sources() {
    let text = "
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b64 %i, %o, %at; .reg .b32 %t, %a, %x; .reg .pred %p;
.shared .align 16 .b8 sh[1024];
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, 4;
add.s64 %i, %i, %at;
add.s64 %o, %o, %at;
mov.u32 %a, sh;
mad.lo.u32 %a, %t, 4, %a;
setp.eq.u32 %p, %t, 1;
cp.async.ca.shared.global [%a], [%i], 4, %p;
cp.async.wait_all;
ld.shared.u32 %x, [%a];
st.global.u32 [%o], %x;
ret;
}
";
    assert_eq!(kernel(text, 3, &[7, 8, 9], 3, true).unwrap(), [7, 0, 9]);
    // The second thread's source is beyond the allocation.
    assert_eq!(kernel(text, 2, &[7], 2, true).unwrap(), [7, 0]);
}

/// Vectors of 32 bytes, a whole sector, exist in global memory since sm_100.
#[test]
fn vectors_of_a_sector() {
    let text = |load: &str, store: &str| {
        format!(
            "
.visible .entry k(.param .u64 in, .param .u64 out)
{{
.reg .b64 %i, %o, %l<4>; .reg .b32 %x<8>; .shared .align 32 .b8 sh[64];
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
{load}
{store}
ret;
}}
"
        )
    };
    let input: Vec<u32> = (1..9).collect();
    let words = text(
        "ld.global.nc.v8.b32 {%x0, %x1, %x2, %x3, %x4, %x5, %x6, %x7}, [%i];",
        "st.global.v8.f32 [%o], {%x7, %x6, %x5, %x4, %x3, %x2, %x1, %x0};",
    );
    let reversed: Vec<u32> = (1..9).rev().collect();
    let longs = text(
        "ld.global.v4.b64 {%l0, %l1, %l2, %l3}, [%i];",
        "st.global.v4.u64 [%o], {%l3, %l2, %l1, %l0};",
    );
    for sanitize in [false, true] {
        assert_eq!(kernel(&words, 1, &input, 8, sanitize).unwrap(), reversed);
        assert_eq!(kernel(&longs, 1, &input, 8, sanitize).unwrap(), [7, 8, 5, 6, 3, 4, 1, 2]);
    }
    let misaligned = words.replace("[%i]", "[%i+16]");
    let fault = kernel(&misaligned, 1, &[0; 16], 8, false).unwrap_err();
    assert!(fault.contains("isaligned"), "{fault}");
    let shared = text("ld.shared.v4.b64 {%l0, %l1, %l2, %l3}, [sh];", "");
    let error = kernel(&shared, 1, &input, 8, false).unwrap_err();
    assert!(error.contains("4 elements of 64 bits"), "{error}");
}
