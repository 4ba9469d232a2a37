//! What the sanitizer finds and what it leaves alone, fault by fault: beside each faulty kernel the same
//! one put right. (`races.rs` and `mutants.rs` have longer ones, in CUDA C++.)

use ptx_emulator::{Fault, FaultKind, Launch, Memory, Module, Options, Param, launch};

/// Runs the body of a kernel `(in, out)` with these blocks and threads on so many words of each.
fn run(body: &str, [blocks, threads]: [u32; 2], words: usize) -> Result<(), Fault> {
    let text = format!(
        ".version 8.8\n.target sm_90\n.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out)
{{
.reg .b64 %in, %out, %at, %g, %h, %s; .reg .b32 %t, %w, %x, %y, %z, %sh; .reg .pred %p, %q;
.shared .align 16 .b8 a[128];
.shared .align 16 .b8 b[512];
.shared .align 8 .b64 bar;
ld.param.u64 %in, [in];
ld.param.u64 %out, [out];
mov.u32 %t, %tid.x;
shr.u32 %w, %t, 5;
mad.wide.u32 %at, %t, 4, %out;
{body}
ret;
}}
"
    );
    let module = Module::parse("k.ptx", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let params = [Param::U64(memory.alloc(4 * words)), Param::U64(memory.alloc(4 * words))];
    let shape = Launch {
        kernel: "k",
        grid: [blocks, 1, 1],
        block: [threads, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize: true, budget: 100_000, ..Options::default() };
    launch(&module, &mut memory, &shape, &options).map(|_| ())
}

#[track_caller]
fn silent(body: &str, shape: [u32; 2]) {
    assert_eq!(run(body, shape, 4096), Ok(()), "{body}");
}

#[track_caller]
fn found(body: &str, shape: [u32; 2], kind: FaultKind, words: &str) {
    let fault = run(body, shape, 4096).expect_err(body);
    let text = fault.to_string();
    assert_eq!(fault.kind, kind, "{body}: {text}");
    assert!(text.contains(words) && text.lines().count() == 1, "{body}: {text}");
}

/// Threads that pass a barrier by and meet the others behind it; an end before it is none of that.
#[test]
fn barriers_that_threads_pass_by() {
    use FaultKind::BarrierDivergence as Kind;
    let lanes = "setp.ge.u32 %p, %t, 16;";
    let warps = "setp.ge.u32 %p, %t, 32;";
    let (part, whole) = ("16 of the warp's 32 threads", "thread 32 has ended without coming to");
    for (who, threads, words) in [(lanes, 32, part), (warps, 64, whole)] {
        let skip = format!("{who} @%p bra S; bar.sync 0; S: st.global.u32 [%at], %t;");
        found(&skip, [1, threads], Kind, words);
        let reduces = skip.replace("bar.sync 0", "bar.red.popc.u32 %x, 0, %p");
        found(&reduces, [1, threads], Kind, words);
        silent(&skip.replace("bra S", "ret"), [1, threads]);
        let ends = format!("{who} @%p bra S; bar.sync 0; st.global.u32 [%at], %t; S:");
        silent(&ends, [1, threads]);
    }
    // A barrier that counts the threads may leave out a warp.
    let counts = format!("{warps} @%p bra S; bar.sync 0, 32; S: st.global.u32 [%at], %t;");
    silent(&counts, [1, 64]);
    // Other numbers of turns: of lanes, and of warps.
    for (turns, threads) in [("rem.u32 %x, %t, 3;", 32), ("mov.u32 %x, %w;", 96)] {
        let body = format!(
            "{turns} mov.u32 %y, 0;
L: setp.ge.u32 %q, %y, %x; @%q bra S; bar.sync 0; add.u32 %y, %y, 1; bra L;
S: st.global.u32 [%at], %x;"
        );
        let fault = run(&body, [1, threads], 128).unwrap_err();
        assert_eq!(fault.kind, Kind, "{fault}");
        silent(&body.replace("@%q bra S;", "@%q ret;"), [1, threads]);
        // The loop's test at its end, as a compiler puts it.
        let last = format!(
            "{turns} mov.u32 %y, 0;
L: bar.sync 0; st.global.u32 [%at], %y; add.u32 %y, %y, 1; setp.le.u32 %q, %y, %x; @%q bra L;"
        );
        silent(&last, [1, threads]);
        let behind = format!("{last} st.global.u32 [%at], %x;");
        found(&behind, [1, threads], Kind, "");
    }
}

/// A load counts though nobody uses its result; the parts of a vector that nobody uses do not.
#[test]
fn loads_without_a_use() {
    let store = "mov.u32 %sh, b; mad.lo.u32 %x, %t, 4, %sh; st.shared.u32 [%x], %t;";
    for load in ["ld.shared", "ld.volatile.shared", "ld.relaxed.cta.shared"] {
        let races = format!("{store} xor.b32 %x, %x, 4; {load}.u32 %y, [%x];");
        found(&races, [1, 32], FaultKind::Race, "thread 1 wrote");
        silent(&races.replace("xor", "bar.sync 0; xor"), [1, 32]);
        let never = format!("{load}.u32 %y, [b];");
        found(&never, [1, 32], FaultKind::UninitialisedShared, "were not written");
    }
    let wide = |store: &str, load: &str| {
        format!("mov.u32 %x, 1; {store} [b], %x; {load} {{%y, %z}}, [b]; st.global.u32 [%at], %y;")
    };
    silent(&wide("st.shared.u32", "ld.shared.v2.u32"), [1, 1]);
    let strong = wide("st.shared.u32", "ld.volatile.shared.v2.u32");
    found(&strong, [1, 1], FaultKind::UninitialisedShared, "8 bytes at byte");
    silent(&strong.replace("st.shared.u32 [b], %x", "st.shared.v2.u32 [b], {%x, %x}"), [1, 1]);
}

/// A fence between proxies is none of the memory model's.
#[test]
fn fences_between_proxies() {
    let flag = |fence: &str| {
        format!(
            "mov.u32 %x, 1; setp.ne.u32 %p, %w, 0; setp.eq.u32 %q, %t, 0; @%p bra READ;
@!%q ret; st.global.u32 [%out], %x; {fence}; st.relaxed.gpu.global.u32 [%in], %x; ret;
READ: ld.relaxed.gpu.global.u32 %y, [%in]; setp.eq.u32 %q, %y, 0; @%q bra READ;
{fence}; ld.global.u32 %z, [%out]; st.global.u32 [%at+64], %z;"
        )
    };
    for fence in ["fence.proxy.async", "fence.proxy.alias", "fence.proxy.async.shared::cta"] {
        found(&flag(fence), [1, 64], FaultKind::Race, "thread 0 wrote");
        silent(&flag(&format!("{fence}; fence.acq_rel.gpu")), [1, 64]);
    }
}

/// All blocks of a card can wait for each other.
#[test]
fn a_barrier_of_many_blocks() {
    let body = |blocks: u32| {
        format!(
            "atom.add.acq_rel.gpu.global.u32 %x, [%out], 1;
WAIT: ld.acquire.gpu.global.u32 %x, [%out]; setp.lt.u32 %p, %x, {blocks}; @%p bra WAIT;"
        )
    };
    silent(&body(300), [300, 1]);
}

/// The plain read of what a compare-and-swap will check may be stale, whatever registers have the
/// address.
#[test]
fn reads_before_a_compare_and_swap() {
    let swap = |load: &str| {
        format!(
            "cvta.to.global.u64 %g, %out; add.s64 %h, %out, 4; sub.s64 %s, %g, -8;
{load}; add.u32 %y, %x, 1;
AGAIN: atom.cas.b32 %z, [%h], %x, %y; setp.eq.u32 %p, %z, %x; mov.u32 %x, %z; add.u32 %y, %x, 1;
@!%p bra AGAIN;"
        )
    };
    for address in ["[%g+4]", "[%s+-4]", "[%h]", "[%out+4]"] {
        silent(&swap(&format!("ld.global.u32 %x, {address}")), [1, 96]);
    }
    // Of another place, which a swap changes, too.
    let other =
        swap("ld.global.u32 %x, [%g]").replace("AGAIN:", "atom.exch.b32 %z, [%s+-8], 5; AGAIN:");
    found(&other, [1, 96], FaultKind::Race, "of global memory");
}

/// A copy that reads less than it writes may end where its source does.
#[test]
fn copies_at_the_end_of_a_buffer() {
    let body = |bytes: u32| {
        format!(
            "add.s64 %g, %in, 16; cp.async.ca.shared.global [b], [%g], 16, {bytes}; cp.async.wait_all;
ld.shared.u32 %x, [b+12]; st.global.u32 [%at], %x;"
        )
    };
    assert_eq!(run(&body(12), [1, 1], 7), Ok(()));
    let fault = run(&body(13), [1, 1], 7).unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfBounds, "{fault}");
    assert!(fault.detail.contains("13 bytes at"), "{fault}");
    let fault = run(&body(12).replace(", 16;", ", 4;"), [1, 1], 7).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misaligned, "{fault}");
}

/// An address stays in the shared variable that it was made of, whatever lies behind.
#[test]
fn overruns_into_the_next_shared_variable() {
    let word = |at: &str| format!("mov.u32 %sh, a; {at} st.shared.u32 [%x+4], %t;");
    let wide = "mov.u64 %s, a; cvta.shared.u64 %s, %s; mul.wide.u32 %h, %t, 4; add.s64 %g, %s, %h;
st.u32 [%g+4], %t;";
    let copy =
        "mov.u32 %sh, a; mad.lo.u32 %x, %t, 4, %sh; cp.async.ca.shared.global [%x+4], [%in], 4;";
    let sum = "mov.u32 %sh, a; mad.lo.u32 %x, %t, 4, %sh; st.shared.u32 [%x], %t; bar.sync 0;
red.shared.add.u32 [%x+4], %t;";
    for body in [
        &word("shl.b32 %z, %t, 2; add.s32 %x, %z, %sh;"),
        &word("mad.lo.s32 %x, %t, 4, %sh;"),
        &word("shl.b32 %z, %t, 2; sub.s32 %y, %sh, %z; add.s32 %x, %y, 124;").replace("+4", "+0"),
        wide,
        copy,
        sum,
    ] {
        let up = body.replace("+0]", "+4]");
        found(
            &up,
            [1, 32],
            FaultKind::OutOfBounds,
            "4 bytes at byte 128 of a shared variable of 128",
        );
        silent(&body.replace("+4]", "+0]"), [1, 32]);
    }
    let below = "mov.u32 %sh, b; st.shared.u32 [%sh+-4], %t;";
    found(below, [1, 1], FaultKind::OutOfBounds, "byte -4 of a shared variable of 512");
    // One of two variables, and one by its distance to another.
    let either = "mov.u32 %x, a; mov.u32 %y, b; setp.lt.u32 %p, %t, 1; selp.b32 %z, %x, %y, %p;
st.shared.u32 [%z+4], %t; sub.u32 %w, %y, %x; add.u32 %sh, %x, %w; @%p st.shared.u32 [%sh+8], %t;";
    silent(either, [1, 2]);
}

/// What cp.async brings is there for those who wait at the mbarrier that tracks it.
#[test]
fn copies_that_an_mbarrier_tracks() {
    let start =
        "mov.u32 %y, bar; setp.eq.u32 %p, %t, 0; @%p mbarrier.init.shared.b64 [%y], 64; bar.sync 0;
mov.u32 %sh, b; mad.lo.u32 %x, %t, 4, %sh; mad.wide.u32 %g, %t, 4, %in;
cp.async.ca.shared.global [%x], [%g], 4;";
    let arrive = "cp.async.mbarrier.arrive.noinc.shared.b64 [%y];";
    let wait = "W: mbarrier.test_wait.parity.shared.b64 %q, [%y], 0; @!%q bra W;";
    let own = "ld.shared.u32 %z, [%x]; st.global.u32 [%at], %z;";
    let other = "xor.b32 %z, %t, 32; mad.lo.u32 %x, %z, 4, %sh; ld.shared.u32 %z, [%x]; st.global.u32 [%at], %z;";
    for reads in [own, other] {
        silent(&[start, arrive, wait, reads].concat(), [1, 64]);
        let body = [start, arrive, "bar.sync 0;", reads].concat();
        found(&body, [1, 64], FaultKind::Race, "cp.async was not waited for");
        silent(&[start, arrive, "cp.async.wait_all; bar.sync 0;", reads].concat(), [1, 64]);
    }
    let at_once = [start, arrive, own].concat();
    found(&at_once, [1, 64], FaultKind::Race, "cp.async was not waited for");
    // Without .noinc the copies' arrival is one more, and the thread's own the one that counts.
    let counted = "cp.async.mbarrier.arrive.shared.b64 [%y]; mbarrier.arrive.shared.b64 %s, [%y];";
    silent(&[start, counted, wait, other].concat(), [1, 64]);
    // Earlier copies have come, too, when later ones have.
    let later =
        "cp.async.mbarrier.arrive.shared.b64 [%y]; cp.async.ca.shared.global [%x+256], [%g], 4;";
    silent(&[start, later, arrive, wait, other].concat(), [1, 64]);
    // One thread waits, and the others for it.
    let one = format!("setp.ne.u32 %p, %w, 0; @%p bra B; {wait} B: bar.sync 0;");
    silent(&[start, arrive, &one, other].concat(), [1, 64]);
}

/// Bytes that end a phase of an mbarrier pass on what its arrivals do.
#[test]
fn bytes_that_end_a_phase() {
    let body = |arrive: &str| {
        format!(
            "mov.u32 %y, bar; setp.eq.u32 %p, %t, 0; @%p mbarrier.init.shared.b64 [%y], 1; bar.sync 0;
@!%p bra W; {arrive} mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%y], 16; ret;
W: mbarrier.test_wait.parity.shared.b64 %q, [%y], 0; @!%q bra W;
ld.shared.u32 %z, [b]; st.global.u32 [%at], %z;"
        )
    };
    let (store, arrive) =
        ("st.shared.u32 [b], %t;", "mbarrier.arrive.expect_tx.shared.b64 %s, [%y], 16;");
    silent(&body(&format!("{store} {arrive}")), [1, 64]);
    found(&body(&format!("{arrive} {store}")), [1, 64], FaultKind::Race, "thread 0 wrote");
}

/// Lanes wait for those that come to a collective like theirs in the other branch.
#[test]
fn collectives_in_both_branches() {
    use FaultKind::WarpDivergence as Kind;
    let both = |one: &str, other: &str| {
        format!(
            "setp.lt.u32 %p, %t, 4; @%p bra F; add.u32 %x, %t, 100; {one} bra J;
F: add.u32 %x, %t, 200; {other} J: st.global.u32 [%at], %x;"
        )
    };
    let sync = "bar.warp.sync -1;";
    silent(&both(sync, sync), [1, 32]);
    let passes =
        "mov.u32 %sh, b; mad.lo.u32 %z, %t, 4, %sh; st.shared.u32 [%z], %t; bar.warp.sync -1;";
    let reads = "ld.shared.u32 %x, [b+124];";
    silent(&both(passes, &format!("{sync} {reads}")), [1, 32]);
    found(&both(passes, &format!("{reads} {sync}")), [1, 32], FaultKind::Race, "thread 31 wrote");
    found(&both(sync, ""), [1, 32], Kind, "names lane 0, which took another path");
    found(&both(sync, "bar.warp.sync 15;"), [1, 32], Kind, "which took another path");
    found(&both(sync, "vote.sync.any.pred %q, %p, -1;"), [1, 32], Kind, "took another path");
    // One of the branches has branches of its own.
    let inner = format!("setp.lt.u32 %q, %t, 2; @%q bra G; add.u32 %x, %x, 1; G: {sync}");
    silent(&both(sync, &inner), [1, 32]);
    silent(&both(&inner.replace('G', "H"), &inner), [1, 32]);
    let twice = format!("setp.lt.u32 %q, %t, 2; @%q bra G; {sync} bra I; G: {sync} I:");
    silent(&both(sync, &twice), [1, 32]);
    // In a loop.
    let turns = format!(
        "mov.u32 %y, 0; L: {} add.u32 %y, %y, 1; setp.lt.u32 %q, %y, 3; @%q bra L;",
        both(sync, sync)
    );
    silent(&turns, [1, 32]);
}

/// Barriers without `.aligned` may be in branches, and all threads may be counted or not.
#[test]
fn barriers_in_branches() {
    let both = |one: &str, other: &str| {
        format!(
            "setp.lt.u32 %p, %t, 4; @%p bra F; {one} bra J; F: {other} J: st.global.u32 [%at], %t;"
        )
    };
    silent(&both("barrier.sync 0;", "barrier.sync 0;"), [1, 64]);
    silent(&both("barrier.sync 0, 64;", "barrier.sync 0, 64;"), [1, 64]);
    for (one, other) in [
        ("barrier.sync 0;", "barrier.sync 1;"),
        ("barrier.sync 0;", "bar.sync 0;"),
        ("bar.sync 0;", "bar.sync 0;"),
        ("barrier.sync 0;", ""),
    ] {
        found(&both(one, other), [1, 64], FaultKind::BarrierDivergence, "go another way");
    }
    let counted = both("bar.sync 0;", "bar.sync 0, 64;").replace("%t, 4", "%t, 32");
    silent(&counted, [1, 64]);
    found(&counted, [1, 96], FaultKind::BarrierDivergence, "with another number of threads");
}

/// Threads that wait for what nobody does are found long before the budget; those that wait for a time,
/// or for a thread that takes its time, are not.
#[test]
fn waits_without_an_end() {
    use FaultKind::BarrierDivergence as Kind;
    let words = "all other threads wait, too";
    let flag = "mov.u32 %y, 0;
W: ld.relaxed.gpu.global.u32 %x, [%out]; setp.eq.u32 %p, %x, 0; @%p bra W;";
    for shape in [[1, 1], [1, 256], [3, 64]] {
        found(flag, shape, Kind, words);
    }
    let lock =
        flag.replace("ld.relaxed.gpu.global.u32 %x, [%out]", "atom.cas.b32 %x, [%out], 5, 6");
    found(&lock, [2, 32], Kind, words);
    let arrivals = |count: u32| {
        format!(
            "mov.u32 %y, bar; setp.eq.u32 %p, %t, 0; @%p mbarrier.init.shared.b64 [%y], {count}; bar.sync 0;
mbarrier.arrive.shared.b64 %s, [%y];
W: mbarrier.test_wait.parity.shared.b64 %q, [%y], 0; @!%q bra W;"
        )
    };
    silent(&arrivals(64), [1, 64]);
    found(&arrivals(65), [1, 64], Kind, words);
    // It gives up after a while.
    let times = flag
        .replace("@%p bra W;", "add.u32 %y, %y, 1; setp.lt.and.u32 %p, %y, 15000, %p; @%p bra W;");
    silent(&times, [1, 64]);
    // The first thread counts, and then sets the flag.
    let late = format!(
        "setp.ne.u32 %p, %w, 0; @%p bra O; mov.u32 %z, 1; mov.u32 %y, 0;
C: add.u32 %y, %y, 1; setp.lt.u32 %q, %y, 25000; @%q bra C; st.relaxed.gpu.global.u32 [%out], %z; ret;
O: {flag}"
    );
    silent(&late, [1, 64]);
    // A block sets it after waiting itself, so that there are several rounds.
    let chain = "mov.u32 %z, %ctaid.x; mad.wide.u32 %g, %z, 4, %out; add.u32 %z, %z, 1;
setp.eq.u32 %q, %z, 8; @%q bra S;
W: ld.relaxed.gpu.global.u32 %x, [%g+4]; setp.eq.u32 %p, %x, 0; @%p bra W;
S: st.relaxed.gpu.global.u32 [%g], %z;";
    silent(chain, [8, 1]);
}
