//! What functions declare: parameters in registers, vectors of registers, variables of their own.

use super::harness::{HEADER, kernel};
use ptx_emulator::Module;

#[test]
fn functions_take_and_give_registers() {
    let text = "
        .func (.reg .u32 sum, .reg .v2.f32 pair) both (.reg .u32 a, .reg .v2 .u32 b, .reg .pred p) {
            add.u32 sum, a, b.x;
            @!p ret;
            add.u32 sum, sum, b.y;
            mov.f32 pair.x, 0f3F800000;
            mov.v2.f32 pair, {pair.x, pair.x};
            ret;
        }
        .entry k(.param .u64 in, .param .u64 out) {
            .reg .u32 x, y, t, s; .reg .f32 f, g; .reg .pred p; .reg .u64 i, o; .reg .v2.u32 v_<3>;
            ld.param.u64 i, [in]; ld.param.u64 o, [out];
            mov.u32 t, %tid.x;
            mad.wide.u32 i, t, 8, i; mad.wide.u32 o, t, 8, o;
            ld.global.v2.u32 v_2, [i];
            setp.eq.u32 p, t, 1;
            mov.f32 f, 0f40000000; mov.f32 g, f;
            call (s, {f, g}), both, (100, v_2, p);
            mov.b32 y, g;
            @!p mov.u32 y, 0;
            mov.u32 v_1.x, s; mov.u32 v_1.y, y;
            st.global.v2.u32 [o], v_1;
            ret;
        }";
    let found = kernel(text, 2, &[3, 4, 5, 6], 4, true).unwrap();
    assert_eq!(found, [103, 0, 111, 1f32.to_bits()]);
}

#[test]
fn vectors_of_registers_move_as_a_whole() {
    let text = ".entry k(.param .u64 in, .param .u64 out) {
            .reg .u64 i, o; .reg .v4 .u32 v; .reg .u32 a, b, c, d;
            ld.param.u64 i, [in]; ld.param.u64 o, [out];
            ld.global.v4.u32 v, [i];
            mov.v4.u32 {a, b, c, d}, v;
            mov.v4.u32 {b, c, d, a}, {a, b, c, d};
            mov.v4.u32 v, {v.g, v.r, v.w, v.z};
            st.global.v4.u32 [o], v; st.global.v4.u32 [o+16], {a, b, c, d};
            ret;
        }";
    let found = kernel(text, 1, &[1, 2, 3, 4], 8, true).unwrap();
    assert_eq!(found, [2, 1, 4, 3, 4, 1, 2, 3]);
}

#[test]
fn functions_have_device_memory_and_old_declarations() {
    // Before PTX 3 a declaration had no sign at its end.
    let text = "
        .visible .func (.reg .u32 d) next (.reg .u32 a)
        .func(.reg.u32 d)next(.reg.u32 a){ add.u32 d, a, 1; ret; }
        .global .u32 here = 7;
        .entry k(.param .u64 in, .param .u64 out) {
            .reg .u64 o; .reg.u32 a, b;
            ld.param.u64 o, [out];
            .global .u32 here[2] = {10, 20};
            ld.global.u32 a, [here+4];
            { .const .u32 here = 5; ld.const.u32 b, [here]; add.u32 a, a, b; }
            call (a), next, (a);
            st.global.u32 [o], a;
            ret;
        }";
    assert_eq!(kernel(text, 1, &[0], 1, true).unwrap(), [26]);
}

#[test]
fn a_fragment_is_loaded_from_a_generic_address() {
    let text = ".entry k(.param .u64 in, .param .u64 out) {
            .reg .u64 o, s; .reg .u32 t, a; .shared .align 16 .u32 rows[32];
            ld.param.u64 o, [out];
            mov.u32 t, %tid.x; mov.u64 s, rows;
            mad.wide.u32 s, t, 4, s;
            st.shared::cluster.u32 [s], t;
            bar.warp.sync 0xffffffff;
            mov.u64 s, rows; cvta.shared::cluster.u64 s, s;
            and.b32 a, t, 7;
            mad.wide.u32 s, a, 16, s;
            ldmatrix.sync.aligned.m8n8.x1.b16 {a}, [s];
            mad.wide.u32 o, t, 4, o;
            st.global.u32 [o], a;
            ret;
        }";
    assert_eq!(kernel(text, 32, &[0], 32, true).unwrap(), (0..32).collect::<Vec<u32>>());
}

/// What is wrong in one kernel refuses that one, wherever in it the parser meets it.
#[test]
fn others_are_not_refused_with_a_kernel() {
    let wrong = [
        ".entry w() { .reg .b128 %q<2>; ret; }",
        ".entry w(.param .b128 a) { ret; }",
        ".entry w(.reg .u32 a) { ret; }",
        ".entry w() { .weird 5; ret; }",
        ".entry w() .weird { ret; }",
        ".entry w() { .reg .u32 a; ~ a; { ret; } }",
        ".entry w() { .shared .u32 s[]; ret; }",
        ".entry w() { .reg .v2 .u32 a; mov.u32 a.z, 1; ret; }",
        ".entry w() { .reg .u32 a; mov.u32 a.x, 1; ret; }",
        ".func (.reg .b128 r) f () { ret; } .entry w() { call f, (); ret; }",
    ];
    for text in wrong {
        let text = format!("{HEADER}{text}\n.entry k() {{ ret; }}\n");
        let module =
            Module::parse("t.ptx", &text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(module.kernel("k").is_ok(), "{text}");
        let error = module.kernel("w").map(|_| ()).expect_err(&text);
        assert_eq!(error.line, 4, "{error}");
    }
}
