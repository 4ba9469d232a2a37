//! Lanes that parted meet again, whatever others do that end, give up or go on in a loop: what the
//! rest compute together is right, with the sanitizer and without.
//!
//! `reconvergence/reconvergence.cu` holds the kernels; the PTX beside it is NVRTC's
//! (`tools/ptx.sh`). The expected values are computed here, thread by thread.

use std::path::Path;

use ptx_emulator::{Fault, FaultKind, Launch, Memory, Module, Options, Param, launch};

const THREADS: usize = 64;
/// What a thread that writes nothing leaves.
const NOTHING: f32 = -7.0;

fn x() -> [f32; THREADS] {
    std::array::from_fn(|i| (i * 5 % 11) as f32)
}

fn run(kernel: &str, n: u32, sanitize: bool) -> Result<Vec<f32>, Fault> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reconvergence");
    let text = std::fs::read_to_string(folder.join("reconvergence.ptx")).unwrap();
    run_text(&text, kernel, n, sanitize)
}

/// Runs a kernel `(x, y, n)` on one block of two warps; gives y.
fn run_text(text: &str, kernel: &str, n: u32, sanitize: bool) -> Result<Vec<f32>, Fault> {
    let module = Module::parse("reconvergence.ptx", text).unwrap_or_else(|e| panic!("{e}"));
    let mut memory = Memory::new();
    let (input, out) = (memory.alloc(4 * THREADS), memory.alloc(4 * THREADS));
    let bytes = |data: [f32; THREADS]| -> Vec<u8> {
        data.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    memory.write(input, &bytes(x())).unwrap();
    memory.write(out, &bytes([NOTHING; THREADS])).unwrap();
    let params = [Param::U64(input), Param::U64(out), Param::U32(n)];
    let shape = Launch {
        kernel,
        grid: [1; 3],
        block: [THREADS as u32, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize, ..Options::default() };
    launch(&module, &mut memory, &shape, &options)?;
    let mut y = vec![0; 4 * THREADS];
    memory.read(out, &mut y).unwrap();
    Ok(y.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

#[track_caller]
fn check(kernel: &str, n: u32, expected: &[f32]) {
    for sanitize in [false, true] {
        let y = run(kernel, n, sanitize).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(y, expected, "{kernel}, sanitizer {sanitize}");
    }
}

/// The same where NVRTC has put the stores of all ways together: lanes that have returned wait at
/// the store for the others, whose votes wait for them in turn. They must end first. Only to the
/// sanitizer is it a mistake, because it cannot tell that from lanes that pass the vote by.
#[track_caller]
fn check_with_one_store(kernel: &str, n: u32, expected: &[f32]) {
    assert_eq!(run(kernel, n, false).unwrap_or_else(|fault| panic!("{fault}")), expected);
    let fault = run(kernel, n, true).unwrap_err();
    assert_eq!(fault.kind, FaultKind::WarpDivergence, "{fault}");
}

/// y from what each thread has of its own (`None`: it has returned and written the second) and
/// from the mask and the sum of its warp's threads that have something.
fn together(
    own: impl Fn(usize) -> (Option<u32>, f32),
    value: impl Fn(u32, u32) -> f32,
) -> Vec<f32> {
    let of_warp = |i: usize| (i / 32 * 32..i / 32 * 32 + 32).map(|j| (j, own(j).0));
    let all = |i: usize| {
        let mask =
            of_warp(i).filter(|(_, own)| own.is_some()).fold(0, |m, (j, _)| m | 1 << (j % 32));
        value(mask, of_warp(i).filter_map(|(_, own)| own).sum())
    };
    (0..THREADS).map(|i| if own(i).0.is_some() { all(i) } else { own(i).1 }).collect()
}

#[test]
fn an_early_return_in_a_branch() {
    let own = |i: usize| match (i % 2, i % 32 >= 24) {
        (0, _) => (Some(x()[i] as u32), 0.0),
        (_, false) => (Some(3 * x()[i] as u32 + 1), 0.0),
        (_, true) => (None, -3.0 * x()[i]),
    };
    check("early_return", 64, &together(own, |m, sum| (sum as f32).mul_add(64.0, m as f32)));
}

#[test]
fn a_branch_that_returns_on_both_sides() {
    let own = |i: usize| match i % 4 {
        1 => (None, x()[i] + if i % 32 >= 16 { 100.0 } else { 200.0 }),
        2 if x()[i] > 10.0 => (Some(10), 0.0),
        2 => (Some(2 * x()[i] as u32), 0.0),
        _ => (Some(x()[i] as u32), 0.0),
    };
    check_with_one_store(
        "returns_on_both_sides",
        64,
        &together(own, |m, sum| m.wrapping_add(sum) as f32),
    );
}

#[test]
fn an_assertion_that_holds_in_a_loop() {
    let total = |warp: usize| {
        let add = |i: usize| if x()[i] > 3.0 { 2.0 * x()[i] } else { 1.0 };
        (0..3).fold(0.0, |sum, _| (32 * warp..32 * warp + 32).map(|i| sum + add(i)).sum::<f32>())
    };
    check("assertion_in_a_loop", 192, &[32.0 * (total(0) + total(1)); THREADS]);
}

#[test]
fn loops_that_end_at_different_times() {
    let own = |i: usize| {
        let mut sum = 0.0;
        for step in 0..i % 7 + 1 {
            sum += x()[(i + step) % 64];
            if sum > 40.0 {
                break;
            }
            if step == 5 && i % 2 == 1 {
                return (None, -1.0);
            }
        }
        (Some(sum as u32), 0.0)
    };
    let expected = together(own, |mask, sum| (sum as f32).mul_add(1024.0, mask as f32));
    assert!(expected.contains(&-1.0));
    check("trip_counts", 64, &expected);
}

#[test]
fn a_return_from_a_loop_in_which_the_others_vote() {
    let (mut y, mut total) = ([NOTHING; THREADS], [0; THREADS]);
    for step in 0..4 {
        for i in (0..THREADS).step_by(4).filter(|&i| i % 32 >= 4 * step) {
            total[i] += 1;
        }
        for i in [4 * step, 4 * step + 32] {
            y[i] = total[i] as f32;
        }
        // 3, 2, ... more of the warp's eight multiples of 4 have returned.
        let left: Vec<usize> = (0..THREADS).filter(|&i| y[i] == NOTHING).collect();
        left.iter().for_each(|&i| total[i] += left.len() / 2);
    }
    (0..THREADS).filter(|&i| y[i] == NOTHING).collect::<Vec<_>>().into_iter().for_each(|i| {
        y[i] = total[i] as f32;
    });
    check_with_one_store("return_from_a_loop", 64, &y);
}

#[test]
fn a_sum_that_lanes_come_to_from_two_places() {
    let own = |i: usize| match i % 2 == 1 || x()[63 - i] > 5.0 {
        true => (Some(x()[i] as u32), 0.0),
        false => (None, x()[i]),
    };
    check("either_condition", 64, &together(own, |_, sum| sum as f32));
}

#[test]
fn a_barrier_after_returns() {
    let tile = |i: usize| if i % 32 >= 8 { 2.0 * x()[i] } else { x()[i] };
    let stays = |i: usize| i % 32 < 8 || x()[i] == 5.0;
    let expected: Vec<f32> =
        (0..THREADS).map(|i| if stays(i) { tile(63 - i) } else { NOTHING }).collect();
    check("barrier_after_returns", 64, &expected);
}

#[test]
fn a_trap_is_reported_with_its_lane() {
    for sanitize in [false, true] {
        let fault = run("some_trap", 64, sanitize).unwrap_err();
        assert_eq!((fault.kind, fault.thread), (FaultKind::Trap, [45, 0, 0]), "{fault}");
    }
}

/// The value of a lane that has ended is undefined: the sanitizer says so.
#[test]
fn a_sum_with_lanes_that_have_ended() {
    let first: f32 = x()[..32].iter().sum();
    let expected: Vec<f32> = (0..THREADS).map(|i| if i < 32 { first } else { NOTHING }).collect();
    check("sum_with_the_ended", 32, &expected);
    let fault = run("sum_with_the_ended", 48, true).unwrap_err();
    assert_eq!((fault.kind, fault.thread), (FaultKind::WarpDivergence, [32, 0, 0]), "{fault}");
    assert!(fault.detail.contains("reads lane 16, which is not active"), "{fault}");
}

/// Lanes that jump back to a loop's head from two places wait there for each other.
#[test]
fn a_loop_with_two_ways_back() {
    let text = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 x, .param .u64 y, .param .u32 n)
{
.reg .b32 %r<9>; .reg .b64 %y, %at; .reg .pred %p, %q; .reg .f32 %f;
ld.param.u64 %y, [y];
mov.u32 %r0, %tid.x;
and.b32 %r1, %r0, 1;
setp.eq.u32 %q, %r1, 0;
mov.u32 %r2, 0;
mov.u32 %r3, 0;
HEAD:
vote.sync.ballot.b32 %r4, 1, -1;
popc.b32 %r5, %r4;
add.u32 %r3, %r3, %r5;
add.u32 %r2, %r2, 1;
setp.ge.u32 %p, %r2, 3;
@%p bra END;
@%q bra HEAD;
add.u32 %r3, %r3, 1000;
bra HEAD;
END:
cvt.rn.f32.u32 %f, %r3;
mul.wide.u32 %at, %r0, 4;
add.s64 %at, %at, %y;
st.global.f32 [%at], %f;
ret;
}
";
    let expected: Vec<f32> = (0..THREADS).map(|i| 96.0 + 2000.0 * (i % 2) as f32).collect();
    for sanitize in [false, true] {
        let y = run_text(text, "k", 0, sanitize).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(y, expected);
    }
}
