//! What a launch may ask of a card, as the CUDA C++ Programming Guide states it.

use ptx_emulator::{Architecture, Fault, FaultKind, Launch, Memory, Module, Options, launch};

fn parse(body: &str) -> Module {
    let text = format!(".version 8.0\n.target sm_80\n.address_size 64\n{body}");
    Module::parse("limits.ptx", &text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_launch_keeps_the_limits_of_the_card() {
    let text = ".extern .shared .align 16 .b8 memory[];\n\
        .entry k() { .reg .b64 %a; mov.u64 %a, memory; ret; }\n\
        .entry bounded() .maxntid 128, 1, 1 { ret; }\n\
        .entry exact() .reqntid 8, 4, 1 { ret; }\n\
        .entry hungry() .maxnreg 168 { ret; }";
    let module = parse(text);
    let on = |name: &str, kernel, grid, block, shared_bytes| {
        let architecture = Architecture::from_name(name).unwrap();
        let shape = Launch { kernel, grid, block, shared_bytes, shared_opt_in: true, params: &[] };
        ptx_emulator::check(&module, &shape, &architecture).map_err(|fault| fault.detail)
    };
    for (name, kib) in [
        ("sm_80", 163),
        ("sm_86", 99),
        ("sm_89", 99),
        ("sm_90a", 227),
        ("sm_100", 227),
        ("sm_120", 99),
    ] {
        assert_eq!(on(name, "k", [1; 3], [32, 1, 1], kib << 10), Ok(()));
        let words = on(name, "k", [1; 3], [32, 1, 1], (kib << 10) + 1).unwrap_err();
        assert!(words.contains(&format!("at most {}", kib << 10)), "{words}");
    }
    let refused = |kernel, grid, block, words: &str| {
        let found = on("sm_80", kernel, grid, block, 0).unwrap_err();
        assert!(found.contains(words), "{found}");
    };
    assert_eq!(on("sm_80", "k", [i32::MAX as u32, 65_535, 65_535], [4, 4, 64], 0), Ok(()));
    refused("k", [1 << 31, 1, 1], [32, 1, 1], "a grid of [2147483648, 1, 1] blocks");
    refused("k", [1, 65_536, 1], [32, 1, 1], "a grid of [1, 65536, 1] blocks");
    refused("k", [1, 1, 65_536], [32, 1, 1], "a grid of [1, 1, 65536] blocks");
    refused("k", [1, 0, 1], [32, 1, 1], "a grid of [1, 0, 1] blocks");
    refused("k", [1; 3], [1025, 1, 1], "a block of [1025, 1, 1] threads");
    refused("k", [1; 3], [1, 1, 65], "a block of [1, 1, 65] threads");
    refused("k", [1; 3], [0, 1, 1], "a block of [0, 1, 1] threads");
    assert_eq!(on("sm_80", "bounded", [1; 3], [64, 2, 1], 0), Ok(()));
    refused("bounded", [1; 3], [129, 1, 1], "the kernel allows at most 128");
    assert_eq!(on("sm_80", "exact", [1; 3], [8, 4, 1], 0), Ok(()));
    refused("exact", [1; 3], [32, 1, 1], "the kernel requires [8, 4, 1]");
    assert_eq!(on("sm_80", "hungry", [1; 3], [384, 1, 1], 0), Ok(()));
    refused("hungry", [1; 3], [385, 1, 1], "385 threads of 168 registers");
}

/// Static shared memory counts: over 48 KiB in all, a launch must ask, and 99 KiB is the end.
#[test]
fn shared_memory_must_be_asked_for() {
    let text = ".extern .shared .align 16 .b8 memory[];\n\
        .entry k() { .shared .b8 own[20000]; .reg .b64 %a; mov.u64 %a, memory; ret; }";
    let module = parse(text);
    let try_it = |shared_bytes, shared_opt_in| {
        let (grid, block) = ([1; 3], [32, 1, 1]);
        let shape = Launch { kernel: "k", grid, block, shared_bytes, shared_opt_in, params: &[] };
        launch(&module, &mut Memory::new(), &shape, &Options::default()).map(|_| ())
    };
    let refused = |result: Result<(), Fault>, words: &str| {
        let fault = result.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Launch);
        assert!(fault.to_string().contains(words), "{fault}");
    };
    assert_eq!(try_it(49_152 - 20_000, false), Ok(()));
    refused(try_it(49_152 - 20_000 + 1, false), "49153 bytes of shared memory; more than 49152");
    assert_eq!(try_it(49_152 - 20_000 + 1, true), Ok(()));
    assert_eq!(try_it(101_376 - 20_000, true), Ok(()));
    refused(try_it(101_376 - 20_000 + 1, true), "101377 bytes of shared memory; at most 101376");
    // No card takes a kernel whose static memory alone is more.
    let fixed = |bytes: u32| {
        let module = parse(&format!(".entry k() {{ .shared .b8 s[{bytes}]; ret; }}"));
        module.kernel("k").map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(fixed(49_152), Ok(()));
    assert!(fixed(49_153).unwrap_err().contains("at most 49152"));
}
