//! Shuffles, votes, matches, reductions, divergence and barriers.

use crate::harness::kernel;

/// A kernel that loads a word per thread into `%v`, runs `body` and stores `%d`.
fn per_thread(body: &str) -> String {
    format!(
        ".visible .entry k(.param .u64 in, .param .u64 out)
{{
.reg .b64 %in, %out, %at;
.reg .b32 %t, %v, %d, %x, %y, %z;
.reg .b64 %w;
.reg .pred %p, %q;
.shared .align 4 .b8 sh[4096];
ld.param.u64 %in, [in];
ld.param.u64 %out, [out];
mov.u32 %t, %tid.x;
mul.wide.u32 %at, %t, 4;
add.s64 %in, %in, %at;
add.s64 %out, %out, %at;
ld.global.u32 %v, [%in];
mov.u32 %d, 0;
{body}
st.global.u32 [%out], %d;
ret;
}}
"
    )
}

fn lanes() -> Vec<u32> {
    (0..32).map(|lane| 100 + lane).collect()
}

#[track_caller]
fn check(body: &str, input: &[u32], expected: impl Fn(u32) -> u32) {
    let threads = input.len() as u32;
    let found = kernel(&per_thread(body), threads, input, input.len(), true).unwrap();
    let expected: Vec<u32> = (0..threads).map(expected).collect();
    assert_eq!(found, expected, "{body}");
}

/// The ISA's pseudo code: with c = 0x1f the segment is the warp; up clamps at lane 0.
#[test]
fn shuffles_in_the_whole_warp() {
    let sync = "0xffffffff;";
    check(&format!("shfl.sync.up.b32 %d, %v, 1, 0, {sync}"), &lanes(), |l| {
        100 + l.saturating_sub(1)
    });
    check(&format!("shfl.sync.down.b32 %d, %v, 3, 31, {sync}"), &lanes(), |l| {
        if l + 3 < 32 { 103 + l } else { 100 + l }
    });
    check(&format!("shfl.sync.bfly.b32 %d, %v, 16, 31, {sync}"), &lanes(), |l| 100 + (l ^ 16));
    check(&format!("shfl.sync.idx.b32 %d, %v, 5, 31, {sync}"), &lanes(), |_| 105);
    // A lane's number is taken modulo 32.
    check(&format!("shfl.sync.idx.b32 %d, %v, 37, 31, {sync}"), &lanes(), |_| 105);
}

/// Segments of 8 lanes: mask 0x18 in bits 8 to 12, clamp 0x1f (width 8 in CUDA: 0x181f).
#[test]
fn shuffles_in_segments_and_their_predicate() {
    let sync = "0xffffffff;";
    check(&format!("shfl.sync.down.b32 %d|%p, %v, 2, 0x181f, {sync}"), &lanes(), |l| {
        if l % 8 + 2 < 8 { 102 + l } else { 100 + l }
    });
    check(&format!("shfl.sync.up.b32 %d, %v, 2, 0x1800, {sync}"), &lanes(), |l| {
        if l % 8 >= 2 { 98 + l } else { 100 + l }
    });
    check(&format!("shfl.sync.idx.b32 %d, %v, 3, 0x181f, {sync}"), &lanes(), |l| {
        100 + l / 8 * 8 + 3
    });
    check(&format!("shfl.sync.bfly.b32 %d, %v, 4, 0x181f, {sync}"), &lanes(), |l| 100 + (l ^ 4));
    // Crossing the segment's upper end is refused.
    check(&format!("shfl.sync.bfly.b32 %d, %v, 8, 0x181f, {sync}"), &lanes(), |l| {
        if l & 8 != 0 { 100 + (l ^ 8) } else { 100 + l }
    });
    let in_range =
        format!("shfl.sync.down.b32 %x|%p, %v, 2, 0x181f, {sync} selp.u32 %d, 1, 0, %p;");
    check(&in_range, &lanes(), |l| u32::from(l % 8 < 6));
    let in_range = format!("shfl.sync.up.b32 %x|%p, %v, 1, 0, {sync} selp.u32 %d, 1, 0, %p;");
    check(&in_range, &lanes(), |l| u32::from(l > 0));
}

#[test]
fn votes_and_matches() {
    let input: Vec<u32> = (0..32).map(|lane| lane / 8).collect();
    let odd = "and.b32 %x, %t, 1; setp.eq.u32 %p, %x, 1;";
    check(&format!("{odd} vote.sync.ballot.b32 %d, %p, 0xffffffff;"), &input, |_| 0xaaaa_aaaa);
    check(&format!("{odd} vote.sync.ballot.b32 %d, !%p, 0xffffffff;"), &input, |_| 0x5555_5555);
    check(
        &format!("{odd} vote.sync.any.pred %q, %p, 0xffffffff; selp.u32 %d, 1, 0, %q;"),
        &input,
        |_| 1,
    );
    check(
        &format!("{odd} vote.sync.all.pred %q, %p, 0xffffffff; selp.u32 %d, 1, 0, %q;"),
        &input,
        |_| 0,
    );
    check(
        &format!("{odd} vote.sync.uni.pred %q, %p, 0xffffffff; selp.u32 %d, 1, 0, %q;"),
        &input,
        |_| 0,
    );
    check("match.any.sync.b32 %d, %v, 0xffffffff;", &input, |l| 0xff << (l / 8 * 8));
    check("cvt.u64.u32 %w, %v; match.any.sync.b64 %d, %w, 0xffffffff;", &input, |l| {
        0xff << (l / 8 * 8)
    });
    check("match.all.sync.b32 %d|%p, %v, 0xffffffff;", &input, |_| 0);
    check("mov.u32 %v, 7; match.all.sync.b32 %d|%p, %v, 0xffffffff;", &input, |_| u32::MAX);
    check("activemask.b32 %d;", &input, |_| u32::MAX);
}

#[test]
fn reductions() {
    let input: Vec<u32> = (0..32u32).map(|lane| lane.wrapping_sub(3)).collect();
    let sum = input.iter().fold(0u32, |sum, &x| sum.wrapping_add(x));
    check("redux.sync.add.u32 %d, %v, 0xffffffff;", &input, |_| sum);
    check("redux.sync.min.s32 %d, %v, 0xffffffff;", &input, |_| 0xffff_fffd);
    check("redux.sync.max.s32 %d, %v, 0xffffffff;", &input, |_| 28);
    check("redux.sync.min.u32 %d, %v, 0xffffffff;", &input, |_| 0);
    check("redux.sync.max.u32 %d, %v, 0xffffffff;", &input, |_| 0xffff_ffff);
    check("redux.sync.or.b32 %d, %v, 0xffffffff;", &input, |_| 0xffff_ffff);
    check("redux.sync.and.b32 %d, %v, 0xffffffff;", &input, |_| 0);
    check("redux.sync.xor.b32 %d, %v, 0xffffffff;", &input, |_| input.iter().fold(0, |x, y| x ^ y));
}

/// PTX ISA 8.6: +0 is larger than -0; a NaN only counts with .NaN, or if there is nothing else.
#[test]
fn reductions_of_floats() {
    let bits = |x: f32| x.to_bits();
    let nan = 0x7fff_ffff;
    let input: Vec<u32> = (0..32u8).map(|lane| bits(f32::from(lane) - 20.5)).collect();
    check("redux.sync.min.f32 %d, %v, 0xffffffff;", &input, |_| bits(-20.5));
    check("redux.sync.max.f32 %d, %v, 0xffffffff;", &input, |_| bits(10.5));
    check("redux.sync.min.abs.f32 %d, %v, 0xffffffff;", &input, |_| bits(0.5));
    check("redux.sync.max.abs.f32 %d, %v, 0xffffffff;", &input, |_| bits(20.5));
    check("redux.sync.max.NaN.f32 %d, %v, 0xffffffff;", &input, |_| bits(10.5));
    let mut faulty = input;
    faulty[7] = 0xffc0_1234;
    check("redux.sync.min.f32 %d, %v, 0xffffffff;", &faulty, |_| bits(-20.5));
    check("redux.sync.min.NaN.f32 %d, %v, 0xffffffff;", &faulty, |_| nan);
    check("redux.sync.max.abs.NaN.f32 %d, %v, 0xffffffff;", &faulty, |_| nan);
    check("redux.sync.max.f32 %d, %v, 0xffffffff;", &[0x7fc0_0001; 32], |_| nan);
    let zeros: Vec<u32> = (0..32).map(|lane| if lane == 3 { bits(-0.0) } else { 0 }).collect();
    check("redux.sync.min.f32 %d, %v, 0xffffffff;", &zeros, |_| bits(-0.0));
    check("redux.sync.max.f32 %d, %v, 0xffffffff;", &zeros, |_| 0);
    check("redux.sync.min.abs.f32 %d, %v, 0xffffffff;", &zeros, |_| 0);
}

/// Lanes diverge at the jump and reconverge after it: both masks are observed.
#[test]
fn lanes_part_and_meet_again() {
    let body = "
setp.lt.u32 %p, %t, 10;
@%p bra FEW;
activemask.b32 %d;
bra.uni BOTH;
FEW:
activemask.b32 %d;
add.u32 %d, %d, 1000;
BOTH:
activemask.b32 %x;
xor.b32 %d, %d, %x;";
    check(
        body,
        &lanes(),
        |l| if l < 10 { (0x3ff + 1000) ^ u32::MAX } else { 0xffff_fc00 ^ u32::MAX },
    );
}

/// Each lane leaves the loop after its own number of rounds; after it all reconverge.
#[test]
fn a_loop_ends_at_different_times() {
    let body = "
mov.u32 %x, 0;
LOOP:
setp.ge.u32 %p, %x, %t;
@%p bra DONE;
add.u32 %d, %d, %x;
add.u32 %x, %x, 1;
bra LOOP;
DONE:
activemask.b32 %y;
setp.ne.u32 %q, %y, 0xffffffff;
@%q add.u32 %d, %d, 100000;";
    check(body, &lanes(), |l| l * l.saturating_sub(1) / 2);
}

/// As of inline assembly that is there twice.
#[test]
fn labels_belong_to_their_braces() {
    let table = "{ and.b32 %y, %t, 1; brx.idx %y, TABLE; TABLE: .branchtargets A, B;
A: add.u32 %x, %x, 100; bra OUT; B: add.u32 %x, %x, 200; OUT: }";
    let body = format!(
        "
mov.u32 %x, 0;
{{ {{ L: add.u32 %x, %x, 1; setp.lt.u32 %p, %x, %t; @%p bra L; }}
L: add.u32 %x, %x, 10; setp.lt.u32 %p, %x, 40; @%p bra L; bra OUT; }}
L: mov.u32 %x, 0;
OUT: {table} {table}
mov.u32 %d, %x;"
    );
    check(&body, &lanes(), |l| {
        let once = l.max(1);
        once + (40 - once).div_ceil(10) * 10 + 200 + l % 2 * 200
    });
}

#[test]
fn jumps_by_index_nested_jumps_and_early_ends() {
    let body = "
and.b32 %x, %t, 3;
brx.idx %x, TABLE;
A: mov.u32 %d, 10; bra OUT;
B: mov.u32 %d, 20; setp.lt.u32 %p, %t, 8; @%p bra C; add.u32 %d, %d, 1; bra OUT;
C: add.u32 %d, %d, 5; bra OUT;
TABLE: .branchtargets A, B, C, A;
OUT:
activemask.b32 %y;
setp.ne.u32 %q, %y, 0xffffffff;
@%q add.u32 %d, %d, 100000;";
    check(body, &lanes(), |l| match l % 4 {
        1 if l < 8 => 25,
        1 => 21,
        2 => 5,
        _ => 10,
    });
    // Ended lanes do not hold up the others: the barrier and the vote proceed without them.
    let body = "
mov.u32 %d, 1;
setp.ge.u32 %p, %t, 20;
@%p st.global.u32 [%out], %d;
@%p ret;
bar.sync 0;
vote.sync.ballot.b32 %d, !%p, 0xfffff;";
    check(body, &lanes(), |l| if l >= 20 { 1 } else { 0xf_ffff });
    let body = "
mov.u32 %d, 1;
setp.ge.u32 %p, %t, 20;
@%p bra END;
bar.sync 0;
mov.u32 %d, 2;
bar.sync 0;
END:";
    let expected: Vec<u32> = (0..32).map(|lane| if lane < 20 { 2 } else { 1 }).collect();
    assert_eq!(kernel(&per_thread(body), 32, &lanes(), 32, false), Ok(expected));
    // They go on behind the barriers: to the sanitizer these are not ended lanes.
    let fault = kernel(&per_thread(body), 32, &lanes(), 32, true).unwrap_err();
    assert!(fault.contains("20 of the warp's 32 threads come to the barrier"), "{fault}");
}

#[test]
fn guards_keep_the_other_lanes_values() {
    check("setp.gt.u32 %p, %t, 15; mov.u32 %d, 5; @%p mov.u32 %d, 6;", &lanes(), |l| {
        if l > 15 { 6 } else { 5 }
    });
    check("setp.gt.u32 %p, %t, 15; mov.u32 %d, 5; @!%p mov.u32 %d, 6;", &lanes(), |l| {
        if l > 15 { 5 } else { 6 }
    });
    check(
        "setp.gt.u32 %p, %t, 15; setp.eq.u32 %q, %t, %t; @%p setp.ne.u32 %q, %t, %t; selp.u32 %d, 1, 0, %q;",
        &lanes(),
        |l| u32::from(l <= 15),
    );
}

fn three_warps() -> Vec<u32> {
    (0..96).collect()
}

const TO_SHARED: &str = "
mov.u32 %y, sh; shl.b32 %x, %t, 2; add.u32 %x, %x, %y; st.shared.u32 [%x], %v;";

#[test]
fn barriers_order_the_block() {
    // Each thread reads what the thread at the other end wrote.
    let body = format!("{TO_SHARED} bar.sync 0; sub.u32 %z, 380, %x; ld.shared.u32 %d, [%z];");
    check(&body, &three_warps(), |t| 95 - t);
    let reduce = "setp.lt.u32 %p, %t, 40;";
    check(&format!("{reduce} bar.red.popc.u32 %d, 0, %p;"), &three_warps(), |_| 40);
    check(&format!("{reduce} bar.red.popc.u32 %d, 0, !%p;"), &three_warps(), |_| 56);
    check(
        &format!("{reduce} bar.red.or.pred %q, 0, %p; selp.u32 %d, 1, 0, %q;"),
        &three_warps(),
        |_| 1,
    );
    check(
        &format!("{reduce} bar.red.and.pred %q, 0, %p; selp.u32 %d, 1, 0, %q;"),
        &three_warps(),
        |_| 0,
    );
    check("barrier.sync 3; barrier.cta.sync.aligned 2, 96; mov.u32 %d, 1;", &three_warps(), |_| 1);
}

/// Warps 0 and 1 meet at barrier 1, where warp 2 has only arrived.
#[test]
fn a_part_of_the_block_can_meet() {
    let body = format!(
        "{TO_SHARED}
setp.ge.u32 %p, %t, 64;
@%p bra THIRD;
bar.sync 1, 96;
xor.b32 %z, %x, 128;
add.u32 %z, %x, 128;
ld.shared.u32 %d, [%z];
bra.uni OUT;
THIRD:
bar.arrive 1, 96;
OUT:"
    );
    check(&body, &three_warps(), |t| if t < 64 { t + 32 } else { 0 });
}

#[test]
fn a_warp_waits_for_its_lanes_memory() {
    let body =
        format!("{TO_SHARED} bar.warp.sync 0xffffffff; xor.b32 %z, %x, 4; ld.shared.u32 %d, [%z];");
    check(&body, &three_warps(), |t| t ^ 1);
}

/// A warp that spins on shared memory lets the others run.
#[test]
fn a_warp_that_waits_in_a_loop_lets_others_run() {
    let body = "
setp.ne.u32 %p, %t, 0;
@%p bra OTHERS;
mov.u32 %x, 0;
st.volatile.shared.u32 [sh], %x;
OTHERS:
bar.sync 0;
setp.ge.u32 %p, %t, 32;
@%p bra LATER;
SPIN:
ld.volatile.shared.u32 %d, [sh];
setp.eq.u32 %q, %d, 0;
@%q bra SPIN;
bra.uni OUT;
LATER:
mov.u32 %d, 7;
setp.eq.u32 %q, %t, 95;
@%q st.volatile.shared.u32 [sh], %d;
OUT:";
    check(body, &three_warps(), |_| 7);
}

/// Lanes that come to a collective in both branches exchange what each has there.
#[test]
fn lanes_meet_at_collectives_of_two_branches() {
    let both = |one: &str, other: &str| {
        format!(
            "setp.lt.u32 %p, %t, 16; @%p bra LOW; add.u32 %y, %v, 1000; {one} bra BOTH;
LOW: add.u32 %z, %v, 2000; {other} BOTH:"
        )
    };
    let value = |l: u32| 100 + l + if l < 16 { 2000 } else { 1000 };
    let shuffle = "shfl.sync.bfly.b32 %d, %z, 16, 31, -1;";
    check(&both(&shuffle.replace("%z", "%y"), shuffle), &lanes(), |l| value(l ^ 16));
    // Into the operand's own register, and from one that the other branch writes.
    let own = "shfl.sync.bfly.b32 %z, %z, 16, 31, -1; mov.u32 %d, %z;";
    check(&both(&own.replace("%z", "%y"), own), &lanes(), |l| value(l ^ 16));
    let crossed = "shfl.sync.bfly.b32 %y, %z, 16, 31, -1; mov.u32 %d, %y;";
    let other = "shfl.sync.bfly.b32 %z, %y, 16, 31, -1; mov.u32 %d, %z;";
    check(&both(other, crossed), &lanes(), |l| value(l ^ 16));
    let sum = (0..32).map(value).sum::<u32>();
    let reduce = "redux.sync.add.u32 %d, %z, -1;";
    check(&both(&reduce.replace("%z", "%y"), reduce), &lanes(), |_| sum);
    let odd = "and.b32 %x, %t, 1; setp.eq.u32 %q, %x, 1; vote.sync.ballot.b32 %d, %q, -1;";
    check(&both(odd, &odd.replace("%q", "%p")), &lanes(), |_| 0xaaaa_aaaa);
}
