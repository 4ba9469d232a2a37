//! Checks a kernel in the emulator: under the sanitizer, against f64 formulas, and its counters.

use ptx_emulator::{Fault, FaultKind, Launch, Memory, Module, Options, Param, Report, launch};

use crate::compare::close;
use crate::kernel_case::{Argument, KernelCase, KernelLaunch, Limit};
use crate::verdict::Verdict;

/// What arrays hold that a kernel must write: a NaN that no instruction makes.
const UNWRITTEN: u32 = 0x7fab_cdef;
/// More than a kernel needs, and soon over in one that does not end.
const MOST_INSTRUCTIONS: u64 = 100_000;
/// What f32, and the `.approx` functions, may cost in accuracy.
const TOLERANCE: f64 = 1e-5;

/// A learner's kernel.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// The name of its file, in messages.
    pub name: &'a str,
    /// Its PTX.
    pub ptx: &'a str,
    /// The CUDA C++ that the PTX was made of.
    pub cuda: Option<&'a str>,
}

impl Program<'_> {
    /// The name of the PTX in messages.
    fn module(&self) -> &str {
        if self.cuda.is_some() { "its PTX" } else { self.name }
    }
}

/// A launch whose arguments are in memory.
pub struct Prepared<'a> {
    module: Module,
    kernel: &'a str,
    case: &'a KernelLaunch,
    memory: Memory,
    params: Vec<Param>,
}

/// Runs all launches of a check.
pub fn check(case: &KernelCase, program: Program<'_>) -> Verdict {
    let check = |launch| check_launch(Prepared::new(case.kernel, launch, program)?, program);
    let verdict = case.launches.iter().try_for_each(check);
    match program.cuda {
        None => verdict,
        Some(_) => verdict.map_err(|lines| lines.replace("bar.sync 0", "__syncthreads()")),
    }
}

fn check_launch(mut prepared: Prepared<'_>, program: Program<'_>) -> Verdict {
    let options = Options { sanitize: true, profile: true, ..Options::default() };
    let case = prepared.case;
    let report = prepared
        .run(&options)
        .map_err(|fault| format!("{}: {}", case.what, explain(&fault, program)))?;
    for (argument, at) in case.arguments.iter().zip(prepared.addresses()) {
        let (Argument::Output(array, expected, mistakes), Some(at)) = (argument, at) else {
            continue;
        };
        let what = format!("{}: {array}", case.what);
        let found = read(&prepared.memory, at, expected.len());
        let is_unwritten = |x: &&f32| x.to_bits() == UNWRITTEN;
        if let Some(first) = found.iter().position(|x| is_unwritten(&x)) {
            let (missing, all) = (found.iter().filter(is_unwritten).count(), found.len());
            return Err(format!(
                "{what}, element {first}: no thread wrote it ({missing} of {all} were not written)"
            ));
        }
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        close(&what, &found, expected, TOLERANCE, mistakes)?;
    }
    case.limits.iter().try_for_each(|limit| within(limit, &case.what, &report))
}

impl<'a> Prepared<'a> {
    /// Parses the text and puts the arguments into memory.
    ///
    /// # Errors
    /// What is wrong with the text, and its line.
    pub fn new(
        kernel: &'a str,
        case: &'a KernelLaunch,
        program: Program<'_>,
    ) -> Result<Prepared<'a>, String> {
        let module =
            Module::parse(program.module(), program.ptx).map_err(|error| error.to_string())?;
        module.kernel(kernel).map_err(|error| error.to_string())?;
        let mut memory = Memory::new();
        let params = case.arguments.iter().map(|argument| place(argument, &mut memory)).collect();
        Ok(Prepared { module, kernel, case, memory, params })
    }

    /// Where the arguments are that are arrays.
    pub fn addresses(&self) -> impl Iterator<Item = Option<u64>> + Clone {
        self.params.iter().map(|param| match *param {
            Param::U64(at) => Some(at),
            _ => None,
        })
    }

    /// The source files that the PTX names: index and name.
    pub fn sources(&self) -> &[(u32, String)] {
        self.module.sources()
    }

    /// Runs the kernel, but not forever.
    ///
    /// # Errors
    /// Its first fault.
    pub fn run(&mut self, options: &Options) -> Result<Report, Fault> {
        self.run_by(options, launch)
    }

    /// The same by what watches it.
    ///
    /// # Errors
    /// Its first fault.
    pub fn run_by(
        &mut self,
        options: &Options,
        run: impl FnOnce(&Module, &mut Memory, &Launch<'_>, &Options) -> Result<Report, Fault>,
    ) -> Result<Report, Fault> {
        let ([gx, gy], [bx, by]) = (self.case.grid, self.case.block);
        let shape = Launch {
            kernel: self.kernel,
            grid: [gx, gy, 1],
            block: [bx, by, 1],
            shared_bytes: 0,
            shared_opt_in: false,
            params: &self.params,
        };
        let options = Options { budget: MOST_INSTRUCTIONS, ..*options };
        run(&self.module, &mut self.memory, &shape, &options)
    }
}

/// Puts an argument into memory.
fn place(argument: &Argument, memory: &mut Memory) -> Param {
    let words: Vec<u8> = match argument {
        &Argument::Number(number) => return Param::U32(number),
        Argument::Input(_, values) => {
            values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()
        }
        Argument::Output(_, expected, _) => {
            expected.iter().flat_map(|_| UNWRITTEN.to_le_bytes()).collect()
        }
    };
    let at = memory.alloc(words.len());
    memory.write(at, &words).expect("it was allocated for them");
    Param::U64(at)
}

fn read(memory: &Memory, at: u64, count: usize) -> Vec<f32> {
    let mut bytes = vec![0; 4 * count];
    memory.read(at, &mut bytes).expect("it was allocated for them");
    bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

fn within(limit: &Limit, what: &str, report: &Report) -> Verdict {
    let (count, needed) = (limit.counter.of(report), limit.needed);
    if count <= needed {
        return Ok(());
    }
    let times = match needed {
        0 => "none is needed".to_owned(),
        _ => format!("{:.1} times the {needed} that it needs", count as f64 / needed as f64),
    };
    let name = limit.counter.name();
    Err(format!("{what}: right, but it takes {count} {name}, {times}\n{}", limit.advice))
}

/// A fault in three lines: what happened, where, and what mostly helps.
fn explain(fault: &Fault, program: Program<'_>) -> String {
    let Fault { kind, block: [bx, by, _], thread: [tx, ty, _], ref detail, .. } = *fault;
    let (name, line, text) = match program.cuda {
        Some(cuda) if fault.source_line > 0 => (&*fault.source, fault.source_line, cuda),
        _ => (program.module(), fault.line, program.ptx),
    };
    // A line of a header of the compiler's is not the learner's.
    let text = if program.cuda.is_some() && name != program.name { "" } else { text };
    let code = text.lines().nth((line as usize).wrapping_sub(1)).unwrap_or_default().trim();
    let what = kind.name();
    let place = match line {
        0 => String::new(),
        _ => format!("{name}:{line}, block ({bx},{by}), thread ({tx},{ty}):  {code}\n"),
    };
    format!("{what}: {detail}\n{place}{}", advice(kind))
}

/// What mostly helps against a fault.
fn advice(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::OutOfBounds => {
            "a thread without an element must not touch memory: look at the guard, the index and the ends \
             of loops; an address counts bytes, 4 per f32"
        }
        FaultKind::Misaligned => "an address counts bytes: an index must be multiplied by 4",
        FaultKind::UninitialisedShared => {
            "if another thread writes it, bar.sync 0 belongs between, where every thread of the block passes it"
        }
        FaultKind::UninitialisedGlobal | FaultKind::UninitialisedLocal => {
            "what is read must have been written"
        }
        FaultKind::Race => {
            "bar.sync 0 belongs between the two lines, where every thread of the block passes it"
        }
        FaultKind::RaceBetweenBlocks => {
            "blocks run in any order and cannot wait for each other: give each its own place"
        }
        FaultKind::BarrierDivergence => {
            "every thread of the block must reach the same bar.sync: keep it out of branches that only \
             some take"
        }
        FaultKind::WarpDivergence => {
            "all lanes that the member mask names must reach the instruction together"
        }
        FaultKind::Budget => "a loop does not end: does its counter move, and is it compared?",
        FaultKind::Trap => "the kernel stopped itself",
        FaultKind::Launch => "keep the name and the parameters of the kernel as they were",
    }
}
