//! The longest chain of dependent instructions of a block, in cycles worked out by hand.

use ptx_emulator::roofline::{Bound, CARDS};
use ptx_emulator::{Launch, Memory, Module, Options, Param, Report, count, launch};

/// The report of a kernel with these instructions, counted with and without a run. `%x` begins as
/// the address of 4096 bytes of zeros, which is the only parameter, and `%a` as 1.
fn report(body: &str, grid: u32, block: u32) -> Report {
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 x)\n{{\n\
         .reg .b64 %x, %y; .reg .b32 %t, %i, %j; .reg .f32 %a, %b, %c; .reg .f64 %d; .reg .pred %p;\n\
         .shared .align 16 .b8 memory[1024];\n\
         ld.param.u64 %x, [x];\nmov.u32 %t, %tid.x;\nmov.u32 %i, 0;\nmov.f32 %a, 0f3F800000;\n\
         {body}\nret;\n}}"
    );
    let module = Module::parse("path.ptx", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let params = [Param::U64(memory.alloc(4096))];
    let shape = Launch {
        kernel: "k",
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { profile: true, ..Options::default() };
    let ran = launch(&module, &mut memory, &shape, &options).unwrap();
    if let Some(counted) = count(&module, &mut memory, &shape, &options).unwrap() {
        assert_eq!(counted, ran, "{body}");
    }
    ran
}

/// Cycles of a block of so many threads.
fn cycles(body: &str, threads: u32) -> u64 {
    report(body, 1, threads).critical_path
}

const STORE: &str = "st.global.f32 [%x], %a;";

#[test]
fn chains_wait_for_their_results() {
    let fma = "fma.rn.f32 %a, %a, %a, %a;\n";
    for (body, expected) in [
        // Issued in a cycle.
        (STORE.to_owned(), 1),
        (fma.repeat(10) + STORE, 40),
        // A result that nobody reads is not waited for, only issued; so are independent ones.
        (fma.to_owned(), 1),
        ("fma.rn.f32 %b, %a, %a, %a;\n".repeat(10), 10),
        // The longer of two chains.
        (
            format!("add.f32 %b, %a, %a;\nadd.f32 %c, %b, %b;\n{fma}add.f32 %a, %a, %c;\n{STORE}"),
            12,
        ),
        (
            "cvt.f64.f32 %d, %a;\nadd.f64 %d, %d, %d;\ncvt.rn.f32.f64 %a, %d;\n".to_owned() + STORE,
            12,
        ),
        // What a compiler may remove takes no time.
        ("add.u32 %i, %i, 1;\n".repeat(10) + "st.global.u32 [%x], %i;", 1),
        // From the L2 cache, then from L1, and two at once.
        (format!("ld.global.f32 %a, [%x];\n{STORE}"), 200),
        (
            format!(
                "ld.global.f32 %b, [%x];\nld.global.f32 %a, [%x+4];\nadd.f32 %a, %a, %b;\n{STORE}"
            ),
            204,
        ),
        (format!("st.global.f32 [%x], %a;\nld.global.f32 %a, [%x+4];\n{STORE}"), 33),
        ("ld.shared.f32 %a, [memory];\n".to_owned() + STORE, 23),
        ("shfl.sync.bfly.b32 %b, %a, 1, 31, -1;\nst.global.f32 [%x], %b;".to_owned(), 22),
        ("div.rn.f32 %a, %a, %a;\n".to_owned() + STORE, 43),
        // A guard is waited for.
        (format!("setp.lt.f32 %p, %a, %a;\n@%p add.f32 %a, %a, %a;\n{STORE}"), 4),
    ] {
        assert_eq!(cycles(&body, 32), expected, "{body}");
    }
}

/// Behind a jump begins only what was issued before it: loops wait in each turn, but not for a result that
/// they do not need.
#[test]
fn loops_issue_in_order() {
    let turns = |body: &str| {
        format!(
            "loop:\n{body}\nadd.u32 %i, %i, 1;\nsetp.lt.u32 %p, %i, 8;\n@%p bra loop;\n\
             st.global.f32 [%x], %a;"
        )
    };
    // A list of pointers: the first comes from L2, the others from L1.
    let chase = "ld.global.u64 %y, [%x];\nadd.u64 %x, %x, %y;";
    assert_eq!(cycles(&turns(chase), 32), 200 + 7 * 33 + 1);
    // Loads that nobody waits for are issued one after the other.
    assert_eq!(cycles(&turns("ld.global.u64 %y, [%x];"), 32), 8 + 1);
    // A sum of loads: each turn's addition begins when its load has come, and the next turn's load then.
    let sum = "ld.global.f32 %b, [%x];\nadd.f32 %a, %a, %b;\nadd.u64 %x, %x, 32;";
    assert_eq!(cycles(&turns(sum), 32), 8 * 200 + 4);
    // Four loads at a time are four at a time.
    let four: String = (0..4)
        .map(|k| format!("ld.global.f32 %b, [%x+{}];\nadd.f32 %a, %a, %b;\n", 32 * k))
        .collect();
    let four = turns(&(four + "add.u64 %x, %x, 128;"));
    // Of four additions in a chain, the last begins 12 cycles after the loads have come.
    assert_eq!(cycles(&four, 32), 8 * 212 + 4);
}

/// A barrier makes all warps wait for the last, and copies are waited for.
#[test]
fn warps_wait_for_each_other() {
    // Warp 0 adds before the first barrier, warp 1 between both.
    let add = "add.f32 %a, %a, %a;\n".repeat(5);
    let ping_pong = format!(
        "setp.lt.u32 %p, %t, 32;\n\
         @!%p bra first;\n{add}st.shared.f32 [memory], %a;\nfirst:\nbar.sync 0;\n\
         @%p bra second;\nld.shared.f32 %a, [memory];\n{add}st.shared.f32 [memory], %a;\nsecond:\n\
         bar.sync 0;\nld.shared.f32 %a, [memory];\n{STORE}"
    );
    let counted = report(&ping_pong, 1, 64);
    assert_eq!(counted.critical_path, 20 + (23 + 20) + 23);
    // The first warp's instructions take all of it, with what it waits for the other.
    let of_first: u64 = counted.hot.iter().map(|(_, _, count)| count.path).sum();
    assert_eq!(of_first, counted.critical_path);
    let copy =
        "mov.u32 %j, memory;\ncp.async.cg.shared.global [%j], [%x], 16;\ncp.async.commit_group;\n";
    let wait = |groups: u32| {
        format!(
            "{copy}{copy}{add}cp.async.wait_group {groups};\nbar.sync 0;\nld.shared.f32 %a, [memory];\n{STORE}"
        )
    };
    assert_eq!(cycles(&wait(0), 32), 200 + 1 + 23);
    assert_eq!(cycles(&wait(2), 32), 16 + 1 + 23);
}

/// A launch takes as many waves as its blocks need; a wave as long as a block.
#[test]
fn launches_take_waves() {
    let body = "fma.rn.f32 %a, %a, %a, %a;\n".repeat(100) + STORE;
    let [_, h100, _] = CARDS;
    // 1024 threads and 1 KiB: two blocks at a time.
    for (blocks, waves) in [(1, 1.0), (2 * 132, 1.0), (2 * 132 + 1, 2.0)] {
        let report = report(&body, blocks, 1024);
        assert_eq!((h100.resident(&report), report.block), (2, [1024, 1024, 0]));
        let Bound { seconds, limit, busy } = h100.bound(&report, blocks.into());
        // 100 fmas and a store of 32 warps a block, four in a cycle: more than they wait for each other.
        let issue = f64::from(blocks.div_ceil(132)) * 808.0;
        assert_eq!(limit, "issue");
        let expected = (waves * 400.0f64).max(issue) / h100.clock;
        assert!((seconds / expected - 1.0).abs() < 1e-9, "{blocks}: {seconds}, not {expected}");
        let filled = f64::from(blocks) / 132.0 * 808.0 / h100.clock;
        assert!((busy / filled - 1.0).abs() < 1e-9, "{blocks}: {busy}, not {filled}");
    }
    // One warp a block: a multiprocessor has as many as it holds, and they wait unless it has 16.
    for (blocks, waves, bound) in
        [(1, 1.0, "latency"), (132 * 15, 1.0, "latency"), (132 * 16, 1.0, "issue")]
    {
        let report = report(&body, blocks, 32);
        let Bound { seconds, limit, busy } = h100.bound(&report, blocks.into());
        assert_eq!(limit, bound, "{blocks}");
        let issue = f64::from(blocks.div_ceil(132)) * 25.25;
        let expected = (waves * 400.0f64).max(issue) / h100.clock;
        assert!((seconds / expected - 1.0).abs() < 1e-9, "{blocks}: {seconds}, not {expected}");
        assert!(busy <= seconds, "{busy}");
    }
    let report = report(&body, 132 * 32 + 1, 32);
    assert_eq!(CARDS.map(|card| card.resident(&report)), [32, 32, 24]);
    let Bound { seconds, limit, .. } = h100.bound(&report, 132 * 32 + 1);
    assert_eq!(limit, "issue");
    assert!((seconds * h100.clock / (33.0 * 25.25) - 1.0).abs() < 1e-9, "{seconds}");
}
