//! A recorded warp: its lanes where they part and meet, against masks worked out by hand; its values
//! against an ordinary run.

use std::collections::BTreeMap;
use std::path::Path;

use ptx_emulator::{
    Fault, FaultKind, InstructionClass, Launch, Memory, Module, Options, Param, Recorder,
    Recording, launch,
};

const N: usize = 128;

/// The memory of a launch on two blocks of two warps, `(x, y, n)`.
struct Arrays {
    memory: Memory,
    y: u64,
    params: [Param; 3],
}

impl Arrays {
    /// With y zero, or never written.
    fn new(y_is_written: bool) -> Arrays {
        let mut memory = Memory::new();
        memory.watch_uninitialised();
        let (x, y) = (memory.alloc(4 * N), memory.alloc(4 * N));
        let values: Vec<u8> = (0..N).flat_map(|i| (i as f32 % 23.0).to_le_bytes()).collect();
        memory.write(x, &values).unwrap();
        if y_is_written {
            memory.write(y, &[0; 4 * N]).unwrap();
        }
        let params = [Param::U64(x), Param::U64(y), Param::U32(N as u32)];
        Arrays { memory, y, params }
    }

    fn y(&self) -> Vec<u32> {
        let mut bytes = vec![0; 4 * N];
        self.memory.read(self.y, &mut bytes).unwrap();
        bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect()
    }

    fn launch<'a>(params: &'a [Param], kernel: &'a str) -> Launch<'a> {
        Launch {
            kernel,
            grid: [2, 1, 1],
            block: [64, 1, 1],
            shared_bytes: 0,
            shared_opt_in: false,
            params,
        }
    }
}

fn checked() -> Options {
    Options { sanitize: true, budget: 20_000, ..Options::default() }
}

/// Records a warp of a block; also the launch's fault.
fn record(
    text: &str,
    kernel: &str,
    [block, warp]: [usize; 2],
    limit: usize,
    y_is_written: bool,
) -> (Recording, Result<(), Fault>, Vec<u32>) {
    let module = Module::parse("k.ptx", text).unwrap_or_else(|e| panic!("{e}"));
    let mut arrays = Arrays::new(y_is_written);
    let params = arrays.params.clone();
    let shape = Arrays::launch(&params, kernel);
    let mut recorder = Recorder::new(limit, block as u32, warp);
    let result = recorder.launch(&module, &mut arrays.memory, &shape, &checked());
    (recorder.recording, result.map(|_| ()), arrays.y())
}

fn kernel(body: &str) -> String {
    format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 x, .param .u64 y, .param .u32 n)\n{{\n{body}\n}}\n"
    )
}

/// Lane 0 to 7 go one way, the others another; then lane l turns l / 16 + 1 times in a loop.
#[test]
fn lanes_part_and_meet() {
    let text = kernel(
        ".reg .pred %p; .reg .u32 %t, %a, %turns;
mov.u32 %t, %tid.x; and.b32 %t, %t, 31;
setp.lt.u32 %p, %t, 8;
@%p bra LOW;
add.u32 %a, %t, 100;
bra JOIN;
LOW:
add.u32 %a, %t, 200;
JOIN:
@!%p add.u32 %a, %a, 1;
shr.u32 %turns, %t, 4;
LOOP:
setp.eq.u32 %p, %turns, 0;
@%p bra DONE;
sub.u32 %turns, %turns, 1;
bra LOOP;
DONE:
add.u32 %a, %a, 1000;
ret;",
    );
    let (recording, result, _) = record(&text, "k", [1, 0], 1000, true);
    result.unwrap();
    let line = |step: &ptx_emulator::RecordedStep| recording.code[step.pc].place.line as usize;
    let text: Vec<&str> = text.lines().collect();
    let (all, low, upper): (u32, u32, u32) = (u32::MAX, 0xff, 0xffff_0000);
    let seen: Vec<_> = recording
        .steps
        .iter()
        .map(|step| (text[line(step) - 1].split_whitespace().next_back().unwrap(), step))
        .map(|(last, step)| (last, step.here, step.active))
        .collect();
    let want = [
        ("31;", all, all),
        ("31;", all, all),
        ("8;", all, all),
        ("LOW;", all, low),
        ("100;", !low, !low),
        ("JOIN;", !low, !low),
        ("200;", low, low),
        ("1;", all, !low),
        ("4;", all, all),
        ("0;", all, all),
        ("DONE;", all, !upper),
        ("1;", upper, upper),
        ("LOOP;", upper, upper),
        ("0;", upper, upper),
        ("DONE;", upper, upper),
        ("1000;", all, all),
        ("ret;", all, all),
    ];
    assert_eq!(seen, want);
    // Values after the two ways: registers by name, lanes that were elsewhere kept.
    let a = recording.registers.iter().position(|register| register.name == "%a").unwrap();
    let last = recording.steps.iter().rev().find_map(|step| {
        step.results.iter().find(|&&(register, _)| register == a).map(|&(_, row)| row)
    });
    let want = std::array::from_fn(|lane| lane as u64 + if lane < 8 { 1200 } else { 1101 });
    assert_eq!(last, Some(want));
    assert!(!recording.is_cut && recording.steps.iter().all(|step| step.live == all));
}

#[test]
fn a_long_recording_is_cut_after_whole_steps() {
    let text = kernel(".reg .u32 %t; mov.u32 %t, 7; add.u32 %t, %t, 1; add.u32 %t, %t, 1; ret;");
    let (recording, _, _) = record(&text, "k", [0, 1], 2, true);
    let values: Vec<_> = recording.steps.iter().map(|step| step.results[0].1).collect();
    assert_eq!((values, recording.is_cut), (vec![[7; 32], [8; 32]], true));
}

fn folder(name: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ptx = files.filter(|path| path.extension().is_some_and(|e| e == "ptx"));
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    ptx.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Follows a recording: what it stored to y, after a check that each load from shared memory gave what
/// the recorded writes had put there.
fn replay(name: &str, recording: &Recording, y: u64) -> BTreeMap<usize, u32> {
    let mut registers = vec![[0; 32]; recording.registers.len()];
    let mut shared = vec![0u32; recording.shared_bytes.div_ceil(4)];
    let mut stored = BTreeMap::new();
    for step in &recording.steps {
        step.others.iter().for_each(|write| shared[write.word] = write.value);
        let code = &recording.code[step.pc];
        let lanes = |mask: u32| (0..32).filter(move |lane| mask >> lane & 1 == 1);
        if let Some(access) = step.access.filter(|access| access.bytes == 4) {
            for lane in lanes(access.active) {
                let at = access.at[lane];
                if access.shared && code.class == InstructionClass::Shared && !access.writes {
                    let loaded = step.results[0].1[lane] as u32;
                    assert_eq!(loaded, shared[at as usize / 4], "{name}: {code:?}, lane {lane}");
                }
                if code.class == InstructionClass::GlobalStore && at >= y {
                    let data = *code.reads.last().unwrap();
                    stored.insert((at - y) as usize / 4, registers[data][lane] as u32);
                }
            }
        }
        step.writes.iter().for_each(|write| shared[write.word] = write.value);
        step.results.iter().for_each(|&(register, row)| registers[register] = row);
    }
    stored
}

/// Every warp of every healthy kernel: what it stores is what an ordinary run leaves in memory.
#[test]
fn values_are_those_of_an_ordinary_run() {
    let mut stores = 0;
    for (name, text) in folder("mutants") {
        let module = Module::parse("k.ptx", &text).unwrap();
        let mut arrays = Arrays::new(true);
        let params = arrays.params.clone();
        let shape = Arrays::launch(&params, "healthy");
        launch(&module, &mut arrays.memory, &shape, &Options::default()).unwrap();
        let ordinary = arrays.y();
        for (block, warp) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let (recording, result, recorded) =
                record(&text, "healthy", [block, warp], 10_000, true);
            result.unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(recorded, ordinary, "{name}");
            for (place, value) in replay(&name, &recording, arrays.y) {
                assert_eq!(
                    value, ordinary[place],
                    "{name}, block {block}, warp {warp}, y[{place}]"
                );
                stores += 1;
            }
        }
    }
    assert!(stores > 1000, "{stores}");
}

/// A recording ends with the step that has the fault.
#[test]
fn a_fault_is_the_last_step() {
    let mut found = 0;
    for (name, text) in folder("mutants") {
        let is_written = name != "uninitialised_global";
        let (_, result, _) = record(&text, "mutant", [0, 0], 0, is_written);
        let fault = result.unwrap_err();
        let place = [fault.block[0] as usize, fault.thread[0] as usize / 32];
        let (recording, result, _) = record(&text, "mutant", place, 100_000, is_written);
        assert_eq!(result.unwrap_err(), fault, "{name}");
        // Where a budget ends or warps wait for each other, other steps may come last.
        if !matches!(fault.kind, FaultKind::Budget | FaultKind::BarrierDivergence) {
            let last = recording.steps.last().unwrap();
            assert_eq!(recording.code[last.pc].place.line, fault.line, "{name}: {fault}");
            assert!(last.active >> (fault.thread[0] % 32) & 1 == 1, "{name}: {fault}");
            found += 1;
        }
    }
    assert!(found >= 18, "{found}");
}
