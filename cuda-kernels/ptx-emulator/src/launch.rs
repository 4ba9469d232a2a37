//! Launching: checks geometry and parameters, runs the blocks, sums up the report.
//!
//! Blocks run on rayon's threads, unless order matters: with the sanitizer, or with global atomics
//! whose result depends on the order. So every launch gives the same bits on any number of threads.
//! Of several faults, that of the lowest block is reported.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use isa::Isa;
use rayon::prelude::*;

use super::architecture::{
    Architecture, MAX_GRID, MAX_REGISTERS, MAX_THREADS, MAX_THREADS_Z, SHARED_WITHOUT_ASKING,
};
use super::block::{Block, Located};
use super::error::{Fault, FaultKind};
use super::exec::Env;
use super::geometry::Geometry;
use super::memory::{FIRST, Memory};
use super::module::Module;
use super::observer::Observer;
use super::ops::Kernel;
use super::profiler::{Profile, Report};
use super::sanitizer::{Sanitizer, Shadow};
use super::worker::Worker;

/// A parameter of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// A pointer or another 64-bit integer.
    U64(u64),
    /// A 32-bit integer; also for parameters of 1 and 2 bytes.
    U32(u32),
    /// An f32.
    F32(f32),
    /// An f64.
    F64(f64),
    /// A structure.
    Bytes(Vec<u8>),
}

/// What to launch.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The kernel's name.
    pub kernel: &'a str,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Has the host raised the kernel's limit of dynamic shared memory? Without that, static and
    /// dynamic together may be 48 KiB.
    pub shared_opt_in: bool,
    /// Parameters in the kernel's order.
    pub params: &'a [Param],
}

/// How to launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Check for races, uninitialised shared memory and wrong member masks. Bounds, alignment
    /// and barriers are always checked.
    pub sanitize: bool,
    /// Count transactions, conflicts and instructions by class.
    pub profile: bool,
    /// With `profile`: how many accesses of the first block to keep.
    pub accesses: usize,
    /// Maximum instructions per thread.
    pub budget: u64,
    /// The card whose limits a launch must keep.
    pub architecture: Architecture,
    /// The processor's instructions to use, which change no bits.
    pub isa: Isa,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            sanitize: false,
            profile: false,
            accesses: 0,
            budget: 100_000_000,
            architecture: Architecture::LEAST,
            isa: Isa::preferred(),
        }
    }
}

/// Would a launch start on a card of this architecture?
///
/// # Errors
/// What does not fit: the kernel's own limits, the card's, or the parameters.
pub fn check(
    module: &Module,
    launch: &Launch<'_>,
    architecture: &Architecture,
) -> Result<(), Fault> {
    prepare(module, launch, architecture).map(|_| ())
}

/// Runs a kernel. Memory keeps its writes, even those before a fault.
pub fn launch(
    module: &Module,
    memory: &mut Memory,
    launch: &Launch<'_>,
    options: &Options,
) -> Result<Report, Fault> {
    run(module, memory, launch, options, false, None)
}

/// What [`launch`] would report, without running more than the slice of the kernel that decides its
/// jumps and addresses: several times faster, and memory stays as it is. `None` if these depend on
/// what is in global memory. Nothing but the addresses of that slice is checked.
///
/// # Errors
/// Faults of the launch and of the slice.
pub fn count(
    module: &Module,
    memory: &mut Memory,
    launch: &Launch<'_>,
    options: &Options,
) -> Result<Option<Report>, Fault> {
    let (kernel, _) = prepare(module, launch, &options.architecture)?;
    if kernel.slice.needs_data {
        return Ok(None);
    }
    let options = Options { sanitize: false, profile: true, ..*options };
    match run(module, memory, launch, &options, true, None) {
        // Copied data decides.
        Err(Fault { kind: FaultKind::UninitialisedShared, .. }) => Ok(None),
        result => result.map(Some),
    }
}

/// The same, block by block, calling an observer before each instruction.
pub fn trace(
    module: &Module,
    memory: &mut Memory,
    launch: &Launch<'_>,
    options: &Options,
    observer: Observer<'_>,
) -> Result<Report, Fault> {
    run(module, memory, launch, options, false, Some(observer))
}

fn run(
    module: &Module,
    memory: &mut Memory,
    launch: &Launch<'_>,
    options: &Options,
    only_counts: bool,
    observer: Option<Observer<'_>>,
) -> Result<Report, Fault> {
    let refuse = |detail| refusal(module, launch, detail);
    let (kernel, params) = prepare(module, launch, &options.architecture)?;
    let variables = module.place_variables(memory);
    let memory = &*memory;
    let geometry =
        Geometry { grid: launch.grid, block: launch.block, dynamic_shared: launch.shared_bytes };
    // Dynamic memory begins after the static variables, aligned.
    let shared_bytes = match launch.shared_bytes {
        0 => kernel.shared_bytes,
        bytes => kernel.dynamic_shared + bytes as usize,
    };
    let traced = observer.is_some();
    let environment = || {
        let sanitizer =
            options.sanitize.then(|| Box::new(Sanitizer::new(shared_bytes, kernel.shared_grain)));
        Env {
            kernel,
            module,
            memory,
            params: &params,
            shared: vec![0; shared_bytes],
            sanitizer,
            profile: options.profile.then(|| Box::new(Profile::new(kernel, options.accesses))),
            only_counts,
            copied: Vec::new(),
            goes_on: !traced,
            unwritten: None,
            last_used: vec![0; kernel.code.len()],
            block: 0,
            warp: 0,
            pc: 0,
            polls: 0,
            changed: false,
            watched: memory.is_watched(),
        }
    };
    let blocks: u64 = launch.grid.iter().map(|&side| u64::from(side)).product();
    let workers = match options.sanitize || kernel.ordered || traced {
        true => 1,
        false => rayon::current_num_threads().min(blocks as usize).max(1),
    };
    let next = AtomicU64::new(0);
    let lowest = AtomicU64::new(u64::MAX);
    let fault: Mutex<Option<Box<Located>>> = Mutex::new(None);
    let following = || {
        let number = next.fetch_add(1, Relaxed);
        (number < blocks && number < lowest.load(Relaxed)).then_some(number)
    };
    let work = |observer: Option<Observer<'_>>| {
        let make = || Block::new(options.isa, environment(), &variables, geometry, options.budget);
        let shadow = options.sanitize.then(|| Shadow::new(kernel.global_grain, FIRST));
        let mut worker = Worker::new(shadow, observer);
        if let Err((number, located)) = worker.run(following, make) {
            let mut fault = fault.lock().unwrap_or_else(|poison| poison.into_inner());
            if number < lowest.load(Relaxed) {
                lowest.store(number, Relaxed);
                *fault = Some(located);
            }
        }
        worker.counts()
    };
    let results: Vec<_> = match workers {
        1 => vec![work(observer)],
        workers => (0..workers).into_par_iter().map(|_| work(None)).collect(),
    };
    if let Some(located) = fault.into_inner().unwrap_or_else(|poison| poison.into_inner()) {
        let Located { problem, place, block, thread } = *located;
        return Err(Fault {
            kind: problem.kind,
            line: place.line,
            source: module.source(place.file).into(),
            source_line: place.source_line,
            block,
            thread,
            ..refuse(problem.detail)
        });
    }
    let mut instructions = [0; 2];
    let mut profile: Option<Profile> = options.profile.then(|| Profile::new(kernel, 0));
    for (counts, part) in results {
        instructions = [instructions[0] + counts[0], instructions[1] + counts[1]];
        if let (Some(profile), Some(part)) = (&mut profile, part) {
            profile.add(&part);
        }
    }
    let threads = geometry.threads() as u64;
    let registers = kernel.registers.map_or(0, |count| u64::from(count).next_multiple_of(8));
    let block = [threads, shared_bytes as u64, registers * threads.next_multiple_of(32)];
    Ok(Report { block, ..Report::new(kernel, instructions, profile.as_ref()) })
}

/// A fault of the launch itself.
fn refusal(module: &Module, launch: &Launch<'_>, detail: String) -> Fault {
    Fault {
        kind: FaultKind::Launch,
        kernel: launch.kernel.to_owned(),
        module: module.name().into(),
        line: 0,
        source: "".into(),
        source_line: 0,
        block: [0; 3],
        thread: [0; 3],
        detail,
    }
}

/// The kernel and its parameters, if a card can start the launch.
fn prepare<'a>(
    module: &'a Module,
    launch: &Launch<'_>,
    architecture: &Architecture,
) -> Result<(&'a Kernel, Vec<u8>), Fault> {
    let refuse = |detail| refusal(module, launch, detail);
    let kernel = module.kernel(launch.kernel).map_err(|error| refuse(error.to_string()))?;
    check_limits(kernel, launch, architecture).map_err(refuse)?;
    let params = lay_out(kernel, launch.params).map_err(refuse)?;
    Ok((kernel, params))
}

fn check_limits(
    kernel: &Kernel,
    launch: &Launch<'_>,
    architecture: &Architecture,
) -> Result<(), String> {
    let Launch { grid, block, .. } = *launch;
    let threads = block.iter().fold(1u64, |all, &side| all.saturating_mul(side.into()));
    if threads == 0 || threads > MAX_THREADS || block[2] > MAX_THREADS_Z {
        return Err(format!(
            "a block of {block:?} threads; 1 to {MAX_THREADS} are possible, {MAX_THREADS_Z} along z"
        ));
    }
    if grid.contains(&0) || grid.iter().zip(MAX_GRID).any(|(&side, most)| side > most) {
        return Err(format!("a grid of {grid:?} blocks; at most {MAX_GRID:?} are possible"));
    }
    if kernel.max_threads.is_some_and(|most| threads > most) {
        let most = kernel.max_threads.unwrap_or_default();
        return Err(format!("{threads} threads; the kernel allows at most {most}"));
    }
    if let Some(required) = kernel.required_threads.filter(|&required| required != block) {
        return Err(format!("a block of {block:?}; the kernel requires {required:?}"));
    }
    // Registers are given to whole warps, eight of a thread at a time.
    let registers = kernel.registers.map_or(0, |count| u64::from(count).next_multiple_of(8));
    if registers * threads.next_multiple_of(32) > MAX_REGISTERS {
        return Err(format!(
            "{threads} threads of {registers} registers; a block has at most {MAX_REGISTERS}"
        ));
    }
    let shared = kernel.dynamic_shared as u64 + u64::from(launch.shared_bytes);
    let Architecture { name, shared_opt_in: most } = *architecture;
    if shared > most.into() {
        return Err(format!("{shared} bytes of shared memory; at most {most} on {name}"));
    }
    if shared > SHARED_WITHOUT_ASKING && !launch.shared_opt_in {
        return Err(format!(
            "{shared} bytes of shared memory; more than {SHARED_WITHOUT_ASKING}, static memory \
             among them, must be asked for"
        ));
    }
    Ok(())
}

/// The bytes of the parameters, as the kernel declares them.
fn lay_out(kernel: &Kernel, params: &[Param]) -> Result<Vec<u8>, String> {
    if params.len() != kernel.params.len() {
        return Err(format!("{} parameters; the kernel has {}", params.len(), kernel.params.len()));
    }
    let mut bytes = vec![0; kernel.param_bytes];
    for (at, (param, &(offset, size, _))) in params.iter().zip(&kernel.params).enumerate() {
        let (data, fits): (Vec<u8>, _) = match param {
            Param::U64(value) => (value.to_le_bytes().into(), size == 8),
            Param::F64(value) => (value.to_le_bytes().into(), size == 8),
            Param::U32(value) => (value.to_le_bytes().into(), matches!(size, 1 | 2 | 4)),
            Param::F32(value) => (value.to_le_bytes().into(), size == 4),
            Param::Bytes(data) => (data.clone(), data.len() == size),
        };
        if !fits {
            return Err(format!("parameter {at} is {param:?}; the kernel takes {size} bytes"));
        }
        bytes[offset..offset + size].copy_from_slice(&data[..size]);
    }
    Ok(bytes)
}
