//! What launches count, mostly without running them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ptx_emulator::{Report, SECTOR};
use tensor::Result;

use super::emulator::Emulator;
use crate::driver::{Arg, Driver, Launch};

/// A driver that reports exact counts of each launch, but runs only launches whose counts depend on
/// data; of the others it looks at jumps and addresses, and at equal ones once. Memory has what the host
/// wrote and what was run, and zeros elsewhere. What that makes of a step need not be finite; its update is counted
/// nevertheless.
pub struct Counter<F> {
    emulator: Emulator,
    known: HashMap<Key, Report>,
    watcher: F,
}

/// All that a launch's counts depend on, if they do not depend on data: the kernel, its geometry, its
/// arguments. Of a pointer only which argument first has it, if it is not null, and where in a
/// transaction it begins: different buffers are taken to lie apart.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kernel: &'static str,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    args: Vec<[u64; 2]>,
}

impl Key {
    fn of(launch: &Launch) -> Key {
        let number = |arg: &Arg| match *arg {
            Arg::Pointer(0) => [u64::MAX, 0],
            Arg::Pointer(at) => {
                let first = launch.args.iter().position(|other| other == arg);
                [first.unwrap_or_default() as u64, at % SECTOR]
            }
            Arg::U32(value) => [value.into(), 0],
            Arg::F32(value) => [value.to_bits().into(), 0],
        };
        let Launch { kernel, grid, block, shared_bytes, args, .. } = *launch;
        Key { kernel, grid, block, shared_bytes, args: args.iter().map(number).collect() }
    }
}

impl<F: FnMut(&Launch, &Report) + Send> Counter<F> {
    /// Calls `watcher` with each launch and its report.
    pub fn new(watcher: F) -> Counter<F> {
        Counter { emulator: Emulator::counting(), known: HashMap::new(), watcher }
    }
}

impl<F> Counter<F> {
    /// Takes back that `check_finite` has found something: nothing would be updated.
    fn pass_check(&mut self, launch: &Launch) -> Result<()> {
        match (launch.kernel, launch.args) {
            ("check_finite", &[_, _, Arg::Pointer(report), ..]) => {
                self.emulator.write(report, &[0; size_of::<f32>()])
            }
            _ => Ok(()),
        }
    }
}

impl<F: FnMut(&Launch, &Report) + Send> Driver for Counter<F> {
    fn name(&self) -> String {
        "counter of launches".to_owned()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        self.emulator.allocate(bytes)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.emulator.write(at, data)
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        self.emulator.read(at, data)
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        match self.known.entry(Key::of(launch)) {
            Entry::Occupied(known) => (self.watcher)(launch, known.get()),
            Entry::Vacant(new) => match self.emulator.count(launch)? {
                Some(report) => (self.watcher)(launch, new.insert(report)),
                None => {
                    (self.watcher)(launch, &self.emulator.run(launch)?);
                    self.pass_check(launch)?;
                }
            },
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.emulator.synchronize()
    }
}
