//! Broken and malicious texts: an error with a line, never a panic, an endless loop or a huge
//! allocation.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ptx_emulator::{FaultKind, Launch, Memory, Module, Options, Param, PtxError, launch};

/// Name and text of the real kernels, sorted by name.
fn kernels() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "ptx"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

const HEADER: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

/// Parses a text and decodes all its kernels.
fn decode(name: &str, text: &str) -> Result<Module, PtxError> {
    let module = Module::parse(name, text)?;
    module.kernels().try_for_each(|kernel| module.kernel(kernel).map(|_| ()))?;
    Ok(module)
}

fn parse(body: &str) -> Result<Module, PtxError> {
    let start = Instant::now();
    let result = decode("hostile.ptx", &format!("{HEADER}{body}"));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    result
}

fn kernel(body: &str) -> Result<Module, PtxError> {
    parse(&format!(
        ".visible .entry k()\n{{\n.reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<9>; .reg .b16 %h<9>; \
         .reg .f32 %f<9>;\n{body}\n}}\n"
    ))
}

#[track_caller]
fn refused(result: Result<Module, PtxError>, line: u32, what: &str) {
    let error = match result {
        Ok(_) => panic!("accepted, though: {what}"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(text.contains(what), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(error.line, line, "{text}");
}

/// Runs a kernel without parameters; it must end in a fault.
#[track_caller]
fn faults(body: &str, kind: FaultKind) {
    let module = kernel(body).unwrap_or_else(|error| panic!("{error}"));
    for sanitize in [false, true] {
        let options = Options { sanitize, profile: true, budget: 10_000, ..Options::default() };
        let shape = Launch {
            kernel: "k",
            grid: [2, 1, 1],
            block: [33, 1, 1],
            shared_bytes: 0,
            shared_opt_in: false,
            params: &[],
        };
        let fault = launch(&module, &mut Memory::new(), &shape, &options).unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
    }
}

#[test]
fn what_is_no_ptx() {
    let parse = |text: &str| Module::parse("x", text).map(|_| ()).unwrap_err().to_string();
    for text in ["", "hello", "\u{0}\u{0}", "// only a comment", "\u{7f}ELF", "{}", ";"] {
        assert!(parse(text).starts_with("x:1: "), "{text:?}");
    }
    assert!(parse("/* no end").contains("comment without an end"));
    assert!(parse(".version 8.0\n.file 1 \"no end").contains("x:2: text without a closing quote"));
    assert!(parse(".version 99.0").contains("version 99"));
    assert!(parse(".version 8.0\n.target nothing").contains("target nothing"));
    assert!(parse(".version 8.0\n.address_size 32").contains("64-bit"));
    assert!(parse(".version 8.0\n.entry k()\n{ é }").contains("x:3: unexpected character 'é'"));
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    refused(kernel("\nfrobnicate.u32 %r1, %r2;"), 8, "unknown instruction frobnicate.u32");
    refused(kernel("add.u32 %r1, %r2;"), 7, "2 operands where 3 are expected");
    refused(kernel("add.u32 %r1, %r2, %rd1;"), 7, "64 bits where 32 are expected");
    refused(kernel("add.u33 %r1, %r2, %r3;"), 7, ".u33 of add.u33 is not known");
    refused(kernel("add.bogus.u32 %r1, %r2, %r3;"), 7, ".bogus");
    refused(kernel("add.u32 %r1, %r2, %r99;"), 7, "%r99 of %r<9>");
    refused(kernel("add.u32 %r1, %r2, %zzz;"), 7, "%zzz is neither declared");
    refused(kernel("mov.u32 5, %r2;"), 7, "the result must be a register");
    refused(kernel("@%r1 add.u32 %r1, %r2, %r3;"), 7, "not a predicate");
    refused(kernel("bra NOWHERE;"), 7, "no label NOWHERE");
    refused(kernel("L: L: ret;"), 7, "is defined twice");
    refused(kernel("bra L; { L: ret; }"), 7, "no label L");
    refused(kernel("tex.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [t, {%f1,%f2}];"), 7, "");
    refused(kernel("ld.global.u32 %r1, %rd1;"), 7, "an address in brackets");
    refused(kernel("ld.global.v4.u32 {%r1, %r2}, [%rd1];"), 7, "2 registers where 4");
    refused(
        kernel("ld.shared.v4.f64 {%rd1, %rd2, %rd3, %rd4}, [%r1];"),
        7,
        "4 elements of 64 bits",
    );
    refused(kernel("lop3.b32 %r1, %r2, %r3, %r4, 300;"), 7, "not a lop3 table");
    refused(
        kernel("mma.sync.aligned.m8n8k4.row.col.f32.f64.f64.f32 {%f1}, {%rd1}, {%rd1}, {%f1};"),
        7,
        "not known",
    );
    refused(kernel("dp4a.s32.hi %r6, %r0, %r4, 9;"), 7, ".hi");
    refused(kernel("dp4a.u16.u16 %r6, %r0, %r4, 9;"), 7, "not known");
    refused(kernel("dp2a.s32.s32 %r6, %r0, %r4, 9;"), 7, "wants .lo or .hi");
    refused(kernel("dp2a.lo.hi.s32.s32 %r6, %r0, %r4, 9;"), 7, "is not known");
    refused(kernel("mul24.s32 %r6, %r0, %r4;"), 7, "wants .lo or .hi");
    refused(kernel("shl.hi.b32 %r6, %r0, %r4;"), 7, ".hi");
    refused(kernel("popc.shiftamt.b32 %r6, %r0;"), 7, ".shiftamt");
    refused(kernel("vadd.s32.s32.s32 %r1, %r2, %r3;"), 7, "vadd.s32.s32.s32: video instructions");
    refused(kernel("vmax2.s32.s32.s32 %r1, %r2, %r3, %r4;"), 7, "video instructions");
    refused(kernel("alloca.u64 %rd1, 16;"), 7, "alloca.u64: dynamic stacks");
    refused(kernel("mma.sp.sync.aligned.m16n8k32 {%f1};"), 7, "sparse matrix products");
    refused(kernel("clusterlaunchcontrol.try_cancel.b128 [%r1];"), 7, "clusters of blocks");
    refused(kernel("ld.global.b128 %rd1, [%rd2];"), 7, "ld.global.b128: numbers of 128 bits");
    refused(kernel("mov.b128 %rd1, {%rd2, %rd3};"), 7, "numbers of 128 bits");
    refused(kernel(".reg .b128 %q<2>;"), 7, ".b128 is not supported");
    refused(kernel("redux.sync.add.f32 %r1, %r2, 0xffffffff;"), 7, "is not known");
    let pointer =
        "{ P: .callprototype (.param .b32 _) _ (.param .b32 _);\ncall (r), %rd1, (p), P; }";
    refused(kernel(pointer), 8, "calls through a pointer are not supported");
    refused(kernel("call missing, ();"), 7, "missing is not declared");
    refused(kernel("{ {"), 8, "ends");
    refused(kernel("brx.idx %r1, TABLE;"), 7, "no such list");
}

/// Types and suffixes that an opcode has, but not together.
#[test]
fn forms_that_the_isa_does_not_have() {
    for (text, what) in [
        ("lop3.b64 %rd1, %rd2, %rd3, %rd4, 1;", ".b64 of lop3.b64"),
        ("shf.l.wrap.b64 %rd1, %rd2, %rd3, %rd4;", ".b64"),
        ("shf.wrap.b32 %r1, %r2, %r3, %r4;", "wants .l or .r"),
        ("prmt.b64 %rd1, %rd2, %rd3, %rd4;", ".b64"),
        ("bmsk.clamp.b64 %rd1, %r2, %r3;", ".b64"),
        ("szext.clamp.u64 %rd1, %rd2, %r3;", ".u64"),
        ("fns.b64 %rd1, %rd2, %rd3, %rd4;", ".b64"),
        ("mul24.lo.u64 %rd1, %rd2, %rd3;", ".u64"),
        ("add.sat.u32 %r1, %r2, %r3;", "is not known"),
        ("add.sat.cc.s32 %r1, %r2, %r3;", "is not known"),
        ("mad.lo.sat.s32 %r1, %r2, %r3, %r4;", "is not known"),
        ("mad.hi.sat.s64 %rd1, %rd2, %rd3, %rd4;", "is not known"),
        ("mul.wide.u64 %rd1, %rd2, %rd3;", "is not known"),
        ("mul.u32 %r1, %r2, %r3;", "mul.u32 wants .lo, .hi or .wide"),
        ("mul.lo.hi.u32 %r1, %r2, %r3;", "is not known"),
        ("madc.u32 %r1, %r2, %r3, %r4;", "wants .lo or .hi"),
        ("neg.u32 %r1, %r2;", ".u32"),
        ("add.rz.f16 %h1, %h2, %h3;", "is not known"),
        ("add.ftz.bf16 %h1, %h2, %h3;", "is not known"),
        ("add.ftz.f64 %rd1, %rd2, %rd3;", "is not known"),
        ("fma.f32 %f1, %f2, %f3, %f4;", "wants .rn, .rz, .rm or .rp"),
        ("rcp.approx.f64 %rd1, %rd2;", "wants .ftz"),
        ("ex2.approx.bf16 %h1, %h2;", "wants .ftz"),
        ("min.xorsign.f32 %f1, %f2, %f3;", "wants .abs"),
        ("max.NaN.f64 %rd1, %rd2, %rd3;", "is not known"),
        ("setp.lt.b32 %p1, %r1, %r2;", "is not known"),
        ("setp.num.s32 %p1, %r1, %r2;", "is not known"),
        ("setp.lo.s32 %p1, %r1, %r2;", "is not known"),
        ("set.lt.u64.s32 %rd1, %r1, %r2;", "is not known"),
        ("set.lt.f64.f32 %rd1, %f1, %f2;", "is not known"),
        ("set.eq.u64.f16x2 %rd1, %r1, %r2;", "is not known"),
        ("testp.finite.u64 %p1, %rd1;", ".u64"),
        ("testp.finite.f16 %p1, %h1;", ".f16"),
        ("slct.f32.u32 %f1, %f2, %f3, %r1;", "is not known"),
        ("vote.sync.any.b32 %r1, %p1, -1;", "is not known"),
        ("vote.sync.all.u32 %r1, %p1, -1;", ".u32"),
        ("atom.global.inc.u64 %rd1, [%rd2], %rd3;", "is not known"),
        ("atom.global.min.b32 %r1, [%rd2], %r3;", "is not known"),
        ("cvt.relu.f32.f32 %f1, %f2;", "is not known"),
        ("cvt.f32.e4m3 %f1, %h1;", "is not known"),
        ("cvt.u32.u16x2 %r1, %r2;", "is not known"),
    ] {
        refused(kernel(text), 7, what);
    }
}

#[test]
fn clusters_of_more_than_one_block_are_refused() {
    let of = |shape: &str| parse(&format!(".entry k() .reqnctapercluster {shape} {{ ret; }}"));
    refused(of("2, 1, 1"), 4, "k wants clusters of 2 blocks, which are not supported");
    refused(of("1, 4"), 4, "clusters of 4 blocks");
    assert!(of("1").is_ok() && of("1, 1, 1").is_ok());
}

#[test]
fn constants_without_a_value() {
    refused(kernel("mov.u32 %r1, 5/0;"), 7, "5 / 0 in a constant");
    refused(kernel("mov.u32 %r1, -5/2;"), 7, "/ of numbers below 0 or from 2^63 on");
    refused(kernel("mov.u32 %r1, 5*;"), 7, "';' in a constant, where a number should be");
    let nested = format!("mov.u32 %r1, {}5;", "(".repeat(100_000));
    refused(kernel(&nested), 7, "a constant nested deeper than 64");
    refused(kernel(&nested.replace('(', "-")), 7, "a constant nested deeper than 64");
    refused(parse(".global .u32 x[2][];"), 4, "x lacks a length");
    refused(parse(".global .u32 x[];"), 4, "x has no size");
}

#[test]
fn special_registers_that_are_not_supported() {
    for name in ["%envreg3", "%pm0", "%pm7_64", "%reserved_smem_offset_begin"] {
        let text = format!("mov.u32 %r1, {name};");
        refused(kernel(&text), 7, &format!("{name} is not supported"));
    }
    refused(
        kernel("mov.u64 %rd1, %current_graph_exec;"),
        7,
        "%current_graph_exec is not supported",
    );
    refused(kernel("mov.u32 %r1, %pmask;"), 7, "%pmask is neither declared");
}

#[test]
fn huge_numbers_are_refused_or_harmless() {
    // Declared registers cost nothing until they are used.
    let many = ".entry k() { .reg .b32 %r<4294967295>; .reg .b64 %q<18446744073709551615>; \
                mov.u32 %r4294967294, 1; ret; }";
    assert!(parse(many).is_ok());
    refused(parse(".global .b8 x[99999999999999];"), 4, "at most");
    refused(parse(".global .b8 x[99999999][99999999][99999999];"), 4, "at most");
    refused(parse(".entry k() { .shared .b8 s[999999]; ret; }"), 4, "of shared memory; at most");
    refused(
        parse(".entry k() { .local .b8 l[999999]; .reg .b64 %a; mov.u64 %a, l; }"),
        4,
        "local memory; at most",
    );
    refused(parse(".entry k(.param .b8 p[99999]) { ret; }"), 4, "of parameters; at most");
    refused(parse(".global .align 3 .b8 x[4];"), 4, "alignment");
    refused(parse(".global .u32 x[2] = {1, 2, 3};"), 4, "more values than elements");
    refused(parse(".global .u32 x[2][2] = {{1, 2, 3}};"), 4, "more values than elements");
    refused(parse(".global .u32 x[][9999999] = {{},{},{},{},{},{},{}};"), 4, "more values");
    refused(parse(&"{".repeat(1_000_000)), 4, "");
    refused(
        parse(&format!(".entry k() {{ {} }}", "{".repeat(1_000_000))),
        4,
        "braces nested deeper",
    );
    refused(
        parse(&format!(".entry k() {{ mov.u32 {} ; }}", "{".repeat(100_000))),
        4,
        "nested too deep",
    );
    refused(parse(".entry k() { mov.u32 %r1, 99999999999999999999999; }"), 4, "not a PTX number");
}

#[test]
fn calls_that_never_end() {
    let own = ".func f() { call f; ret; }\n.entry k() { call f; ret; }";
    refused(parse(own), 4, "calls itself");
    let pair = ".func g();\n.func f() { call g; ret; }\n.func g() { call f; ret; }\n.entry k() { call f; ret; }";
    refused(parse(pair), 6, "calls itself");
    // Each function calls the next twice: 2^40 instructions if fully inlined.
    let mut bomb = String::from(".func f0() { ret; }\n");
    for i in 1..40 {
        bomb += &format!(".func f{i}() {{ call f{}; call f{}; ret; }}\n", i - 1, i - 1);
    }
    bomb += ".entry k() { call f39; ret; }";
    let error = parse(&bomb).unwrap_err().to_string();
    assert!(error.contains("instructions with calls inlined"), "{error}");
    let mut deep = String::from(".func f0() { ret; }\n");
    for i in 1..1000 {
        deep += &format!(".func f{i}() {{ call f{}; ret; }}\n", i - 1);
    }
    deep += ".entry k() { call f999; ret; }";
    assert!(parse(&deep).unwrap_err().to_string().contains("nested deeper"), "{deep}");
}

#[test]
fn wild_runs_end_in_faults() {
    faults("L: bra L;", FaultKind::Budget);
    faults(
        "L: mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 3; @%p1 bra L; bra L;",
        FaultKind::Budget,
    );
    faults("L: bar.sync 0; bra L;", FaultKind::Budget);
    faults("mov.u64 %rd1, 0; ld.global.u32 %r1, [%rd1];", FaultKind::OutOfBounds);
    faults("mov.u64 %rd1, 0xffffffffffffffff; st.global.u8 [%rd1], 1;", FaultKind::OutOfBounds);
    faults(
        "mov.u64 %rd1, 0xfffffffffffffffc; ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%rd1];",
        FaultKind::OutOfBounds,
    );
    faults("mov.u64 %rd1, 0x700000000000; ld.u32 %r1, [%rd1];", FaultKind::OutOfBounds);
    faults("mov.u64 %rd1, 0x710000000000; st.u32 [%rd1+-4], 1;", FaultKind::OutOfBounds);
    faults("mov.u64 %rd1, 0x720000000000; ld.u32 %r1, [%rd1];", FaultKind::OutOfBounds);
    faults("mov.u32 %r1, 0xfffffffc; ld.shared.u32 %r2, [%r1+8];", FaultKind::OutOfBounds);
    faults("atom.global.add.u32 %r1, [%rd1], 1;", FaultKind::OutOfBounds);
    faults("mov.u32 %r1, 7; brx.idx %r1, T; T: .branchtargets A; A: ret;", FaultKind::OutOfBounds);
    faults("mov.u32 %r1, 77; bar.sync %r1;", FaultKind::BarrierDivergence);
    faults("bar.sync 0, 33;", FaultKind::BarrierDivergence);
    faults("bar.sync 0, 1024;", FaultKind::BarrierDivergence);
    faults("trap;", FaultKind::Trap);
    faults(
        "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2}, {%r3}, {%f1,%f2,%f3,%f4};",
        FaultKind::WarpDivergence,
    );
    faults(
        "mov.u32 %r1, 4; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r1];",
        FaultKind::OutOfBounds,
    );
}

#[test]
fn launches_that_do_not_fit() {
    let module = parse(".entry k(.param .u64 p, .param .u32 n) .maxntid 64 { ret; }").unwrap();
    let good = [Param::U64(0), Param::U32(0)];
    let try_it =
        |name: &str, grid: [u32; 3], block: [u32; 3], shared_bytes: u32, params: &[Param]| {
            let shape =
                Launch { kernel: name, grid, block, shared_bytes, shared_opt_in: false, params };
            launch(&module, &mut Memory::new(), &shape, &Options::default()).map(|_| ())
        };
    assert!(try_it("k", [1; 3], [64, 1, 1], 0, &good).is_ok());
    for fault in [
        try_it("other", [1; 3], [1; 3], 0, &good),
        try_it("k", [0, 1, 1], [1; 3], 0, &good),
        try_it("k", [1, 70_000, 1], [1; 3], 0, &good),
        try_it("k", [1; 3], [0, 1, 1], 0, &good),
        try_it("k", [1; 3], [65, 1, 1], 0, &good),
        try_it("k", [1; 3], [u32::MAX, u32::MAX, u32::MAX], 0, &good),
        try_it("k", [1; 3], [1; 3], u32::MAX, &good),
        try_it("k", [1; 3], [1; 3], 0, &good[..1]),
        try_it("k", [1; 3], [1; 3], 0, &[Param::U32(0), Param::U32(0)]),
        try_it("k", [1; 3], [1; 3], 0, &[Param::U64(0), Param::Bytes(vec![0; 3])]),
    ] {
        let fault = fault.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Launch);
        assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
    }
}

/// An instruction that is not known refuses the kernel that uses it, and only when it is asked for.
#[test]
fn an_unknown_instruction_refuses_one_kernel() {
    let text = format!(
        "{HEADER}.entry good() {{ ret; }}\n.entry bad() {{\n.reg .b32 %r<9>;\n\
         frobnicate.u32 %r1, [%r2, {{%r3, %r4}}];\nret; }}\n\
         .global .u32 x, y[] = {{1, generic(x)+4}}, z = 7;\n\
         .entry addresses() {{ .reg .b64 %a;\nmov.u64 %a, y; ret; }}\n\
         .entry numbers() {{ .reg .b64 %a; mov.u64 %a, z; ret; }}"
    );
    let module = Module::parse("two.ptx", &text).unwrap();
    assert_eq!(module.kernels().collect::<Vec<_>>(), ["good", "bad", "addresses", "numbers"]);
    assert!(module.kernel("good").is_ok() && module.kernel("numbers").is_ok());
    let error = module.kernel("bad").unwrap_err().to_string();
    assert_eq!(error, "two.ptx:7: unknown instruction frobnicate.u32");
    let error = module.kernel("addresses").unwrap_err().to_string();
    let what = "generic is an initial value of y; only numbers are supported";
    assert_eq!(error, format!("two.ptx:11: {what}"));
    let error = module.kernel("neither").unwrap_err().to_string();
    assert!(error.contains("no kernel neither; there are: good, bad"), "{error}");
}

/// Real texts, cut off anywhere or with a character changed, give an error or another kernel.
#[test]
fn real_texts_truncated_and_corrupted() {
    let mut state = 1u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for (name, text) in &kernels() {
        assert!(text.is_ascii(), "{name} is cut between any two bytes");
        // A few kilobytes of each are enough, and fast.
        let text = &text[..text.len().min(24_000)];
        for _ in 0..20 {
            let cut = next(text.len());
            let _ = decode(name, &text[..cut]);
            let at = next(text.len() - 1);
            let strange =
                ["{", "}", ";", "%r1", "99999999999", ".", "[", "bra", "\"", "-"][next(10)];
            let end = (at + 1 + next(6)).min(text.len());
            let _ = decode(name, &format!("{}{strange}{}", &text[..at], &text[end..]));
        }
    }
}

/// A thread ends after the last instruction, even if that one is guarded.
#[test]
fn a_guarded_end_is_an_end() {
    for body in ["@%p1 ret;", "@%p1 bra L; L:", "@!%p1 exit;", "@%p1 trap;", ""] {
        let module = kernel(body).unwrap_or_else(|error| panic!("{error}"));
        let shape = Launch {
            kernel: "k",
            grid: [1; 3],
            block: [40, 1, 1],
            shared_bytes: 0,
            shared_opt_in: false,
            params: &[],
        };
        let done = launch(&module, &mut Memory::new(), &shape, &Options::default());
        assert!(done.is_ok(), "{body}: {done:?}");
    }
}

/// Real kernels with lines swapped, duplicated, guarded or retyped run or end in a fault.
#[test]
fn real_kernels_mutated_and_run() {
    let mut state = 7u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let types = [
        ("s32", "u16"),
        ("f32", "f64"),
        ("u32", "s64"),
        ("add", "min"),
        ("global", "shared"),
        ("shared", "global"),
        ("ret", "bar.sync 0"),
        ("mul", "sub"),
        ("+4", "+-4"),
    ];
    let kernels = kernels();
    let mut ran = 0;
    for _ in 0..600 {
        let (_, text) = &kernels[next(kernels.len())];
        let starts: Vec<usize> =
            text.match_indices(".visible .entry").map(|found| found.0).collect();
        let at = next(starts.len());
        let end = starts.get(at + 1).copied().unwrap_or(text.len());
        let mut lines: Vec<String> = text[starts[at]..end].lines().map(str::to_owned).collect();
        for _ in 0..1 + next(2) {
            let (a, b) = (next(lines.len()), next(lines.len()));
            let (from, to) = types[next(types.len())];
            match next(5) {
                0 => drop(lines.remove(a)),
                1 => lines.swap(a, b),
                2 => lines.insert(a, lines[b].clone()),
                3 => lines[a] = lines[a].replace(from, to),
                _ => lines[a] = format!("@%p1 {}", lines[a].trim()),
            }
        }
        let Ok(module) = parse(&lines.join("\n")) else { continue };
        for name in module.kernels() {
            let mut memory = Memory::new();
            let buffer = memory.alloc(4096);
            let sizes = module.kernel(name).unwrap().params.iter();
            let params: Vec<Param> = sizes
                .map(|&(_, size, _)| match size {
                    8 => Param::U64(buffer + 4 * next(3) as u64),
                    4 => Param::U32([0, 1, 33, 1000, u32::MAX][next(5)]),
                    size => Param::Bytes(vec![1; size]),
                })
                .collect();
            let options = Options {
                sanitize: next(2) == 0,
                profile: next(2) == 0,
                budget: 2000,
                ..Options::default()
            };
            let block = [[1, 33, 64, 256][next(4)], 1, 1];
            let shape = Launch {
                kernel: name,
                grid: [2, 1, 1],
                block,
                shared_bytes: 64,
                shared_opt_in: false,
                params: &params,
            };
            let _ = launch(&module, &mut memory, &shape, &options);
            ran += 1;
        }
    }
    assert!(ran > 100, "only {ran} kernels could be run");
}
