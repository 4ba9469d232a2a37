//! Reductions, stencils, flags and queues with and without races, in the manner of HiRace (Jacobson,
//! Burtscher, Gopalakrishnan: HiRace, arXiv 2401.04701, 2024): of the kernels in `races/*.cu`, the race check
//! stops each `racy_*` at a line marked "race", and no `clean_*`.
//!
//! The PTX beside them is NVRTC's (`tools/ptx.sh`).

use std::path::Path;

use ptx_emulator::{Fault, FaultKind, Launch, Memory, Module, Options, Param, launch};

const FILES: [&str; 4] = ["reductions", "stencils", "flags", "queues"];
const N: usize = 512;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/races").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Runs a kernel `(x, y, state)` on 4 blocks of 128 threads.
fn run(module: &Module, kernel: &str, sanitize: bool) -> Result<(), Fault> {
    let mut memory = Memory::new();
    let x: Vec<u8> = (0..N).flat_map(|i| ((i * 7 % 23) as f32 - 11.0).to_le_bytes()).collect();
    let (input, out, state) = (memory.alloc(4 * N), memory.alloc(16 * N + 4 * N), memory.alloc(64));
    memory.write(input, &x).unwrap();
    let params = [Param::U64(input), Param::U64(out), Param::U64(state)];
    let shape = Launch {
        kernel,
        grid: [4, 1, 1],
        block: [128, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize, budget: 1_000_000, ..Options::default() };
    launch(module, &mut memory, &shape, &options).map(|_| ())
}

#[test]
fn races_are_found_and_the_rest_is_left_alone() {
    let (mut racy, mut clean, mut wrong) = ([0, 0], [0, 0], Vec::new());
    for name in FILES {
        let module = Module::parse(&format!("{name}.ptx"), &read(&format!("{name}.ptx"))).unwrap();
        let source = read(&format!("{name}.cu"));
        let marked: Vec<String> = (1..)
            .zip(source.lines())
            .filter(|(_, line)| line.contains("// race"))
            .map(|(number, _)| format!("({name}.cu:{number})"))
            .collect();
        for kernel in module.kernels() {
            let result = run(&module, kernel, true);
            let (counts, right) = match (kernel.starts_with("racy_"), &result) {
                (true, Err(fault)) => {
                    let kinds = [FaultKind::Race, FaultKind::RaceBetweenBlocks];
                    let text = fault.to_string();
                    let line = marked.iter().any(|place| text.contains(place));
                    (&mut racy, kinds.contains(&fault.kind) && line)
                }
                (false, result) => {
                    (&mut clean, result.is_ok() && run(&module, kernel, false).is_ok())
                }
                (true, Ok(())) => (&mut racy, false),
            };
            counts[0] += 1;
            counts[1] += usize::from(right);
            if !right {
                wrong.push(format!("{name}.cu: {kernel}: {result:?}"));
            }
        }
    }
    println!(
        "races found: {} of {}; silent without: {} of {}",
        racy[1], racy[0], clean[1], clean[0]
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(racy[0] >= 25 && clean[0] >= 25, "{racy:?} {clean:?}");
}
