//! The emulator as a driver: executes the PTX on the CPU.

use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::{Arc, LazyLock, Mutex};

use ptx_emulator::{self as ptx, Fault, Memory, Module, Options, Param, Report};
use tensor::{Error, Result};

use super::shared_memory::must_ask;
use crate::driver::{Arg, Driver, Launch};
use crate::modules::MODULES;

/// Counts per kernel since counting began.
pub type Profile = Arc<Mutex<BTreeMap<&'static str, Counts>>>;

/// Counts over the launches of one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launches.
    pub launches: u64,
    /// Instructions, counted per thread.
    pub instructions: u64,
    /// 32-byte global-memory transactions.
    pub transactions: u64,
    /// Bytes that threads requested from global memory.
    pub bytes_asked: u64,
    /// Warp accesses to shared memory.
    pub shared_requests: u64,
    /// Extra shared-memory cycles due to bank conflicts.
    pub bank_conflicts: u64,
    /// Divergent branches.
    pub divergent_branches: u64,
}

impl From<&Report> for Counts {
    /// Those of one launch.
    fn from(report: &Report) -> Counts {
        Counts {
            launches: 1,
            instructions: report.instructions,
            transactions: report.load_sectors + report.store_sectors,
            bytes_asked: report.load_bytes + report.store_bytes,
            shared_requests: report.shared_requests,
            bank_conflicts: report.bank_conflicts,
            divergent_branches: report.divergent_branches,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.launches += more.launches;
        self.instructions += more.instructions;
        self.transactions += more.transactions;
        self.bytes_asked += more.bytes_asked;
        self.shared_requests += more.shared_requests;
        self.bank_conflicts += more.bank_conflicts;
        self.divergent_branches += more.divergent_branches;
    }
}

/// The embedded PTX, parsed once for all devices of the program.
static PARSED: LazyLock<HashMap<&'static str, Result<Module>>> = LazyLock::new(|| {
    let parse = |&(name, text): &(&'static str, &str)| {
        let module = Module::parse(&format!("{name}.ptx"), text);
        (name, module.map_err(|error| Error::device(error.to_string())))
    };
    MODULES.iter().map(parse).collect()
});

/// The embedded PTX of this file.
///
/// # Errors
/// No such file.
pub fn parsed(module: &str) -> Result<&'static Module> {
    let found = PARSED.get(module);
    let found = found.ok_or_else(|| Error::device(format!("{module}.ptx is not embedded")))?;
    found.as_ref().map_err(Clone::clone)
}

/// The emulator and its memory.
pub struct Emulator {
    memory: Memory,
    options: Options,
    watcher: Option<Watcher>,
}

/// Called with each launch and its report.
type Watcher = Box<dyn FnMut(&Launch, &Report) + Send>;

impl Default for Emulator {
    fn default() -> Emulator {
        Emulator::new()
    }
}

impl Emulator {
    /// An emulated device. Accesses outside its memory are faults.
    pub fn new() -> Emulator {
        Emulator::with(Options::default(), None)
    }

    /// One that also checks for races and for reads of uninitialised shared memory; several times
    /// slower.
    pub fn checked() -> Emulator {
        Emulator::with(Options { sanitize: true, ..Options::default() }, None)
    }

    /// One that adds kernels' counts to `profile`.
    pub fn profiled(profile: Profile) -> Emulator {
        Emulator::watched(move |launch, report| {
            let mut profile = profile.lock().expect("no thread panics while it counts");
            *profile.entry(launch.kernel).or_default() += Counts::from(report);
        })
    }

    /// One that counts.
    pub(super) fn counting() -> Emulator {
        Emulator::with(Options { profile: true, ..Options::default() }, None)
    }

    /// One that counts, and calls `watcher` with each launch and its report.
    pub fn watched(watcher: impl FnMut(&Launch, &Report) + Send + 'static) -> Emulator {
        Emulator { watcher: Some(Box::new(watcher)), ..Emulator::counting() }
    }

    /// Runs a launch.
    pub(super) fn run(&mut self, launch: &Launch) -> Result<Report> {
        self.emulate(launch, ptx::launch)
    }

    /// What a launch would count; `None` if that depends on data.
    pub(super) fn count(&mut self, launch: &Launch) -> Result<Option<Report>> {
        self.emulate(launch, ptx::count)
    }

    fn emulate<T>(
        &mut self,
        launch: &Launch,
        run: impl Fn(&Module, &mut Memory, &ptx::Launch, &Options) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let module = parsed(launch.module)?;
        let params: Vec<Param> = launch.args.iter().map(|&arg| param(arg)).collect();
        let shape = shape(module, launch, &params)?;
        run(module, &mut self.memory, &shape, &self.options)
            .map_err(|fault| Error::device(format!("kernel {fault}")))
    }

    fn with(options: Options, watcher: Option<Watcher>) -> Emulator {
        Emulator { memory: Memory::new(), options, watcher }
    }
}

impl Driver for Emulator {
    fn name(&self) -> String {
        "PTX emulator".to_owned()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        Ok(self.memory.alloc(bytes))
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.memory.write(at, data).map_err(|error| Error::device(format!("copy to: {error}")))
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        self.memory.read(at, data).map_err(|error| Error::device(format!("copy from: {error}")))
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        let report = self.run(launch)?;
        if let Some(watcher) = &mut self.watcher {
            watcher(launch, &report);
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The launch as the emulator takes it, its limit of shared memory raised where it must be.
///
/// # Errors
/// More shared memory than the emulated device has.
pub(crate) fn shape<'a>(
    module: &Module,
    launch: &Launch<'a>,
    params: &'a [Param],
) -> Result<ptx::Launch<'a>> {
    let Launch { kernel, grid, block, shared_bytes, .. } = *launch;
    let known = module.kernel(kernel).map_err(|error| Error::device(error.to_string()))?;
    let most = ptx::Architecture::LEAST.shared_opt_in;
    let shared_opt_in = must_ask(launch, known.shared_bytes as u32, most)?;
    Ok(ptx::Launch { kernel, grid, block, shared_bytes, shared_opt_in, params })
}

/// An argument as the emulator takes it.
pub fn param(arg: Arg) -> Param {
    match arg {
        Arg::Pointer(value) => Param::U64(value),
        Arg::U32(value) => Param::U32(value),
        Arg::F32(value) => Param::F32(value),
    }
}
