//! Makes a kernel of one opcode and runs it on rows of inputs, one thread per row.

use std::fmt::Write;

use isa::Isa;
use ptx_emulator::{Launch, Memory, Module, Options, Param, launch};

/// Everything before a kernel's body.
pub const HEADER: &str = ".version 8.8\n.target sm_80\n.address_size 64\n";

/// The register type and the load/store type of a type.
fn storage(ty: &str) -> (&'static str, &'static str, usize) {
    match ty {
        "u16" | "s16" | "b16" | "f16" | "bf16" => ("b16", "b16", 2),
        "u64" | "s64" | "b64" | "f64" => ("b64", "b64", 8),
        "pred" => ("pred", "u32", 4),
        _ => ("b32", "b32", 4),
    }
}

/// Runs `line`, an instruction with result `d` of type `out` and operands `a`, `b`, `c`, `e` of the
/// types `ins`, once per row, and returns the results, which are the same on all instruction sets,
/// and whatever loads leave above the 16 bits of a register.
pub fn results(line: &str, out: &str, ins: &[&str], rows: &[&[u64]]) -> Vec<u64> {
    let found = results_of(line, out, ins, rows, "b16");
    if ins.iter().any(|ty| storage(ty).2 == 2) {
        assert_eq!(results_of(line, out, ins, rows, "s16"), found, "{line} of extended numbers");
    }
    found
}

fn results_of(line: &str, out: &str, ins: &[&str], rows: &[&[u64]], half: &str) -> Vec<u64> {
    let names = ["a", "b", "c", "e"];
    let mut text = HEADER.to_owned();
    text += ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n";
    text += ".reg .b64 %in, %out, %at;\n.reg .b32 %tid, %word;\n.reg .pred %p, %q;\n";
    for (name, ty) in names.iter().zip(ins) {
        writeln!(text, ".reg .{} {name};", storage(ty).0).unwrap();
    }
    writeln!(text, ".reg .{} d;", storage(out).0).unwrap();
    text += "ld.param.u64 %in, [in];\nld.param.u64 %out, [out];\nmov.u32 %tid, %tid.x;\n";
    writeln!(text, "mul.wide.u32 %at, %tid, {};\nadd.s64 %in, %in, %at;", 8 * ins.len()).unwrap();
    text += "mul.wide.u32 %at, %tid, 8;\nadd.s64 %out, %out, %at;\n";
    for (at, (name, ty)) in names.iter().zip(ins).enumerate() {
        let load = match *ty {
            "pred" => {
                format!("ld.global.u32 %word, [%in+{}];\nsetp.ne.u32 {name}, %word, 0;", 8 * at)
            }
            ty => {
                let load = if storage(ty).2 == 2 { half } else { storage(ty).1 };
                format!("ld.global.{load} {name}, [%in+{}];", 8 * at)
            }
        };
        text += &load;
        text += "\n";
    }
    text += line;
    text += "\n";
    text += &match out {
        "pred" => "selp.u32 %word, 1, 0, d;\nst.global.u32 [%out], %word;\n".to_owned(),
        out => format!("st.global.{} [%out], d;\n", storage(out).1),
    };
    text += "ret;\n}\n";
    let module = Module::parse(line, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut memory = Memory::new();
    let inputs: Vec<u8> =
        rows.iter().flat_map(|row| row.iter().flat_map(|value| value.to_le_bytes())).collect();
    let input = memory.alloc(inputs.len());
    let output = memory.alloc(8 * rows.len());
    // More rows than a block has threads run a warp at a time.
    assert!(rows.len() <= 1024, "{line}: {} rows", rows.len());
    let params = [Param::U64(input), Param::U64(output)];
    let shape = Launch {
        kernel: "k",
        grid: [1, 1, 1],
        block: [rows.len() as u32, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let mut on = |isa: Isa| {
        // Atomics change it.
        memory.write(input, &inputs).unwrap();
        let options = Options { sanitize: true, isa, ..Options::default() };
        launch(&module, &mut memory, &shape, &options)
            .unwrap_or_else(|fault| panic!("{line}: {fault}"));
        let mut bytes = vec![0; 8 * rows.len()];
        memory.read(output, &mut bytes).unwrap();
        bytes
    };
    let bytes = on(Isa::Portable);
    for isa in Isa::available() {
        assert!(on(isa) == bytes, "{line}: other bits with {isa:?}");
    }
    let size = storage(out).2;
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut value = [0; 8];
            value[..size].copy_from_slice(&chunk[..size]);
            u64::from_le_bytes(value)
        })
        .collect()
}

/// Compares the results of `line` with a table of inputs and results.
#[track_caller]
pub fn table<const N: usize>(line: &str, out: &str, ins: [&str; N], rows: &[([u64; N], u64)]) {
    let inputs: Vec<&[u64]> = rows.iter().map(|(inputs, _)| inputs.as_slice()).collect();
    let found = results(line, out, &ins, &inputs);
    let bits = 8 * storage(out).2;
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    for ((inputs, expected), found) in rows.iter().zip(found) {
        assert_eq!(
            found,
            expected & mask,
            "{line} of {inputs:x?}: {found:#x}, the ISA says {:#x}",
            expected & mask
        );
    }
}

/// The bits of an f32.
pub fn f(value: f32) -> u64 {
    value.to_bits().into()
}

/// The bits of an f64.
pub fn d(value: f64) -> u64 {
    value.to_bits()
}

/// A signed number's bits.
pub fn s(value: i64) -> u64 {
    value as u64
}

/// Runs a whole kernel `k(in, out)` and returns `count` words of its output.
pub fn kernel(
    text: &str,
    threads: u32,
    input: &[u32],
    count: usize,
    sanitize: bool,
) -> Result<Vec<u32>, String> {
    let text = format!("{HEADER}{text}");
    let module = Module::parse("k.ptx", &text).map_err(|error| error.to_string())?;
    let mut memory = Memory::new();
    let bytes: Vec<u8> = input.iter().flat_map(|word| word.to_le_bytes()).collect();
    let at = memory.alloc(bytes.len());
    memory.write(at, &bytes).unwrap();
    let out = memory.alloc(4 * count);
    let params = [Param::U64(at), Param::U64(out)];
    let shape = Launch {
        kernel: "k",
        grid: [1, 1, 1],
        block: [threads, 1, 1],
        shared_bytes: 0,
        shared_opt_in: false,
        params: &params,
    };
    let options = Options { sanitize, budget: 100_000, ..Options::default() };
    launch(&module, &mut memory, &shape, &options).map_err(|fault| fault.to_string())?;
    let mut bytes = vec![0; 4 * count];
    memory.read(out, &mut bytes).unwrap();
    Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
}
