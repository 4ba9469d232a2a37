//! Kernels with one planted fault each: the emulator finds it and names kind, line and thread, and
//! reports nothing for the healthy twin in the same file.
//!
//! `mutants/*.cu` hold both; a comment marks the faulty line. The PTX next to them is NVRTC's
//! (`tools/ptx.sh`).

use std::path::Path;

use ptx_emulator::{Fault, FaultKind, Launch, Memory, Module, Options, Param, launch};

const N: usize = 128;

/// Runs a kernel `(x, y, n)` on two blocks of two warps; returns y.
fn run(name: &str, kernel: &str, options: Options) -> Result<Vec<f32>, Fault> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mutants/{name}.ptx"));
    let text = std::fs::read_to_string(path).unwrap();
    let module = Module::parse(&format!("{name}.ptx"), &text).unwrap_or_else(|e| panic!("{e}"));
    let mut memory = Memory::new();
    memory.watch_uninitialised();
    let x: Vec<u8> = (0..N).flat_map(|i| (i as f32 % 23.0).to_le_bytes()).collect();
    let (at, out) = (memory.alloc(4 * N), memory.alloc(4 * N));
    memory.write(at, &x).unwrap();
    if name != "uninitialised_global" {
        memory.write(out, &[0; 4 * N]).unwrap();
    }
    let params = [Param::U64(at), Param::U64(out), Param::U32(N as u32)];
    let shape = Launch {
        kernel,
        grid: [2, 1, 1],
        block: [64, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    launch(&module, &mut memory, &shape, &options)?;
    let mut y = vec![0; 4 * N];
    memory.read(out, &mut y).unwrap();
    Ok(y.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// The source line marked as the fault.
fn faulty_line(name: &str) -> u32 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/mutants/{name}.cu"));
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().position(|line| line.contains("// fault:")).unwrap();
    line as u32 + 1
}

fn options() -> Options {
    Options { sanitize: true, budget: 20_000, ..Options::default() }
}

const MUTANTS: &[(&str, FaultKind)] = &[
    ("missing_barrier", FaultKind::Race),
    ("early_read", FaultKind::Race),
    ("missing_second_barrier", FaultKind::Race),
    ("missing_warp_barrier", FaultKind::Race),
    ("lost_update", FaultKind::Race),
    ("early_read_of_a_counter", FaultKind::Race),
    ("race_between_blocks", FaultKind::RaceBetweenBlocks),
    ("read_of_another_block", FaultKind::RaceBetweenBlocks),
    ("off_by_one", FaultKind::OutOfBounds),
    ("shared_out_of_bounds", FaultKind::OutOfBounds),
    ("local_out_of_bounds", FaultKind::OutOfBounds),
    ("overrun_of_a_local", FaultKind::OutOfBounds),
    ("uninitialised_local", FaultKind::UninitialisedLocal),
    ("misaligned_vector", FaultKind::Misaligned),
    ("misaligned_shared", FaultKind::Misaligned),
    ("uninitialised_shared", FaultKind::UninitialisedShared),
    ("missing_copy_wait", FaultKind::Race),
    ("uninitialised_global", FaultKind::UninitialisedGlobal),
    ("wrong_shuffle_mask", FaultKind::WarpDivergence),
    ("shuffle_from_outside", FaultKind::WarpDivergence),
    ("divergent_barrier", FaultKind::BarrierDivergence),
    ("barriers_of_different_branches", FaultKind::BarrierDivergence),
    ("barrier_that_waits_for_too_many", FaultKind::BarrierDivergence),
    ("endless_loop", FaultKind::Budget),
    ("trap", FaultKind::Trap),
];

#[test]
fn each_fault_is_found_and_named() {
    for &(name, kind) in MUTANTS {
        let fault = match run(name, "mutant", options()) {
            Ok(_) => panic!("{name}: the fault is not found"),
            Err(fault) => fault,
        };
        println!("{fault}");
        assert_eq!(fault.kind, kind, "{fault}");
        assert_eq!(fault.source_line, faulty_line(name), "{fault}");
        assert_eq!(*fault.source, format!("{name}.cu"), "{fault}");
        assert_eq!(fault.kernel, "mutant");
        assert!(fault.line > 0 && fault.thread[0] < 64, "{fault}");
        let text = fault.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(&format!("{name}.cu:{}", fault.source_line)), "{text}");
    }
}

#[test]
fn the_healthy_twins_are_left_alone() {
    for &(name, _) in MUTANTS {
        let checked = run(name, "healthy", options()).unwrap_or_else(|fault| panic!("{fault}"));
        let free = run(name, "healthy", Options { sanitize: false, ..options() });
        assert_eq!(checked, free.unwrap(), "{name}: the sanitizer changes the result");
    }
}

/// Every file in the folder is in the table.
#[test]
fn no_mutant_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "cu"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut listed: Vec<&str> = MUTANTS.iter().map(|&(name, _)| name).collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

/// Faults that need no sanitizer are found without it too.
#[test]
fn bounds_alignment_and_barriers_are_always_checked() {
    for &(name, kind) in MUTANTS {
        let always = matches!(
            kind,
            FaultKind::OutOfBounds | FaultKind::Misaligned | FaultKind::Budget | FaultKind::Trap
        ) && name != "overrun_of_a_local"
            || name == "divergent_barrier";
        if always {
            let found = run(name, "mutant", Options { sanitize: false, ..options() });
            assert_eq!(found.unwrap_err().kind, kind, "{name}");
        }
    }
}
