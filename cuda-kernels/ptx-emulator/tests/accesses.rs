//! Which lane touched which address: a profile keeps the first block's accesses if asked.

use std::path::Path;

use ptx_emulator::{Launch, Memory, Module, Options, Param, launch};

/// `y[i] = tile[thread % 32]` after `tile[thread] = x[i]`, in two blocks of 64 threads.
#[test]
fn the_first_accesses_are_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants/missing_barrier.ptx");
    let module = Module::parse("k.ptx", &std::fs::read_to_string(path).unwrap()).unwrap();
    let mut memory = Memory::new();
    let (x, y) = (memory.alloc(512), memory.alloc(512));
    let params = [Param::U64(x), Param::U64(y), Param::U32(128)];
    let shape = Launch {
        kernel: "healthy",
        grid: [2, 1, 1],
        block: [64, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let mut kept = |accesses| {
        let options = Options { profile: true, accesses, ..Options::default() };
        launch(&module, &mut memory, &shape, &options).unwrap().accesses
    };
    assert_eq!(kept(0), []);
    assert_eq!(kept(3).len(), 3);
    // Four instructions, two warps; nothing of the second block.
    let all = kept(100);
    assert_eq!(all.len(), 8);
    let lanes = |at: u64| std::array::from_fn(|lane| at + 4 * lane as u64);
    for (place, warp, shared, at) in
        [(0, 0, false, x), (1, 0, true, 0), (0, 1, false, x + 128), (1, 1, true, 128)]
    {
        let access = all.iter().filter(|access| access.warp == warp).nth(place).unwrap();
        assert_eq!((access.shared, access.bytes, access.active), (shared, 4, u32::MAX));
        assert_eq!(access.at, lanes(at), "access {place} of warp {warp}");
    }
}
