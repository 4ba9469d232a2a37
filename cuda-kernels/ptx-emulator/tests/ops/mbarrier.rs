//! Barriers in shared memory, vectors of atomics, transposed fragments, policies: the results that
//! the ISA's text states.

use crate::harness::kernel;

const START: &str = "
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b64 %in, %out, %at, %s, %u, %policy; .reg .b32 %t, %bar, %x, %y, %z, %w; .reg .pred %p, %q;
.reg .f32 %f<9>;
.shared .align 8 .b64 barrier;
ld.param.u64 %in, [in];
ld.param.u64 %out, [out];
mov.u32 %t, %tid.x;
mov.u32 %bar, barrier;
";

#[track_caller]
fn check(body: &str, threads: u32, input: &[u32], expected: &[u32]) {
    let text = format!("{START}{body}\nret;\n}}\n");
    for sanitize in [false, true] {
        let found = kernel(&text, threads, input, expected.len(), sanitize);
        assert_eq!(found.as_deref(), Ok(expected), "{body}");
    }
}

/// A phase of two arrivals: the state tells how many are missing, the parity when it has ended.
#[test]
fn phases_of_an_mbarrier() {
    let body = "
mbarrier.init.shared.b64 [%bar], 2;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 0;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out], %x;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 1;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+4], %x;
mbarrier.arrive.shared.b64 %s, [%bar];
mbarrier.pending_count.b64 %x, %s;
st.global.u32 [%out+8], %x;
mbarrier.test_wait.shared.b64 %p, [%bar], %s;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+12], %x;
mbarrier.arrive.release.cta.shared::cta.b64 %u, [%bar], 1;
mbarrier.pending_count.b64 %x, %u;
st.global.u32 [%out+16], %x;
mbarrier.test_wait.shared.b64 %p, [%bar], %s;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+20], %x;
mbarrier.try_wait.parity.shared.b64 %p, [%bar], 0, 100;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+24], %x;
mbarrier.try_wait.parity.shared.b64 %p, [%bar], 1;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+28], %x;";
    check(body, 1, &[0], &[0, 1, 2, 0, 1, 1, 1, 0]);
}

/// Bytes that are announced must come before the phase ends; who drops out is not waited for again.
#[test]
fn bytes_and_dropping_out() {
    let body = "
mbarrier.init.shared.b64 [%bar], 2;
mbarrier.arrive_drop.shared.b64 %s, [%bar];
mbarrier.arrive.expect_tx.shared.b64 %s, [%bar], 48;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 0;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out], %x;
mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%bar], 16;
mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%bar], 32;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 0;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+4], %x;
mbarrier.arrive.shared.b64 %s, [%bar];
mbarrier.pending_count.b64 %x, %s;
st.global.u32 [%out+8], %x;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 1;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+12], %x;";
    check(body, 1, &[0], &[0, 1, 1, 1]);
}

#[test]
fn too_many_arrivals_are_a_fault() {
    let body = "mbarrier.init.shared.b64 [%bar], 2;\nmbarrier.arrive.shared.b64 %s, [%bar], 3;";
    let fault = kernel(&format!("{START}{body}\nret;\n}}\n"), 1, &[0], 1, false).unwrap_err();
    assert!(fault.contains("3 arrivals at an mbarrier that waits for 2"), "{fault}");
}

#[test]
fn vectors_of_atomics() {
    let [a, b, c, d] = [1.5f32, -2.0, 0.25, 8.0].map(f32::to_bits);
    let body = "
ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%in];
st.global.v4.f32 [%out], {%f1, %f2, %f3, %f4};
red.global.add.v4.f32 [%out], {%f4, %f3, %f2, %f1};
atom.global.add.v2.f32 {%f5, %f6}, [%out], {%f1, %f1};
st.global.v2.f32 [%out+16], {%f5, %f6};";
    let sums = [11.0f32, -0.25, -1.75, 9.5, 9.5, -1.75].map(f32::to_bits);
    check(body, 1, &[a, b, c, d], &sums);
    // Two f16 to a word: 1 and 2, and 0.5 and -4.
    let body = "
ld.global.v2.u32 {%x, %y}, [%in];
st.global.v2.u32 [%out], {%x, %y};
st.global.v2.u32 [%out+8], {%x, %y};
red.global.add.noftz.v2.f16x2 [%out], {%y, %x};
red.global.max.noftz.v2.f16x2 [%out+8], {%y, %x};";
    let (x, y) = (0x4000_3c00, 0xc400_3800);
    check(body, 1, &[x, y], &[0xc000_3e00, 0xc000_3e00, 0x4000_3c00, 0x4000_3c00]);
}

/// In global memory, sums of f32 that are subnormal are zero; in shared memory they are not.
#[test]
fn atomics_of_subnormal_numbers() {
    let body = "
ld.global.v2.f32 {%f1, %f2}, [%in];
st.global.f32 [%out], %f1;
atom.global.add.f32 %f3, [%out], %f2;
st.shared.f32 [%bar], %f1;
atom.shared.add.f32 %f3, [%bar], %f2;
ld.shared.f32 %f3, [%bar];
st.global.f32 [%out+4], %f3;";
    check(body, 1, &[5, 0x8000_0003], &[0, 2]);
    check(body, 1, &[0x0080_0000, 3], &[0x0080_0000, 0x0080_0003]);
}

#[test]
fn an_8x8_matrix_transposed() {
    let body = "
mad.wide.u32 %at, %t, 4, %in;
ld.global.u32 %x, [%at];
movmatrix.sync.aligned.m8n8.trans.b16 %y, %x;
mad.wide.u32 %at, %t, 4, %out;
st.global.u32 [%at], %y;";
    // The element of row r and column c is 8r + c; a lane has two of a row.
    let element = |r: u32, c: u32| 8 * r + c;
    let word = |lane: u32, of: &dyn Fn(u32, u32) -> u32| {
        let (r, c) = (lane / 4, lane % 4 * 2);
        of(r, c) | of(r, c + 1) << 16
    };
    let input: Vec<u32> = (0..32).map(|lane| word(lane, &element)).collect();
    let expected: Vec<u32> = (0..32).map(|lane| word(lane, &|r, c| element(c, r))).collect();
    check(body, 32, &input, &expected);
}

#[test]
fn the_lowest_lane_is_elected() {
    let body = "
mov.u32 %w, 0xfffffff8;
setp.ge.u32 %q, %t, 3;
mov.u32 %x, 99;
@%q elect.sync %x|%p, %w;
selp.u32 %y, 100, 0, %p;
@!%q mov.u32 %y, 0;
add.u32 %x, %x, %y;
mad.wide.u32 %at, %t, 4, %out;
st.global.u32 [%at], %x;";
    let expected: Vec<u32> = (0..32)
        .map(|lane| [3, 99, 103][usize::from(lane < 3) + 2 * usize::from(lane == 3)])
        .collect();
    check(body, 32, &[0], &expected);
}

/// Policies and dependencies between grids change nothing but speed.
#[test]
fn policies_and_grid_dependencies() {
    let body = "
createpolicy.fractional.L2::evict_first.b64 %policy, 0.5;
griddepcontrol.wait;
ld.global.L2::cache_hint.u32 %x, [%in], %policy;
st.global.L2::cache_hint.u32 [%out], %x, %policy;
red.global.add.L2::cache_hint.u32 [%out], %x, %policy;
griddepcontrol.launch_dependents;";
    check(body, 1, &[21], &[42]);
}

/// One arrival that announces bytes and leaves: the phase ends when they have come, and the next one
/// waits for one arrival less.
#[test]
fn a_last_arrival_announces_bytes() {
    let body = "
mbarrier.init.shared.b64 [%bar], 2;
mbarrier.arrive_drop.expect_tx.release.cta.shared::cta.b64 %s, [%bar], 16;
mbarrier.arrive.shared::cta.b64 _, [%bar];
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 0;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out], %x;
mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%bar], 16;
mbarrier.test_wait.parity.shared.b64 %p, [%bar], 0;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+4], %x;
mbarrier.arrive.shared::cta.b64 %u, [%bar];
mbarrier.pending_count.b64 %x, %u;
st.global.u32 [%out+8], %x;
fence.proxy.async.global;
fence.acquire.sync_restrict::shared::cluster.cluster;
cvta.shared.u64 %at, %at;
isspacep.shared::cluster %p, %at;
selp.u32 %x, 1, 0, %p;
st.global.u32 [%out+12], %x;";
    check(body, 1, &[0], &[0, 1, 1, 1]);
}
