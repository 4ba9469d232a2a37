//! What a kernel's check is made of: launches, the numbers that must come, and what they may cost.

use ptx_emulator::Report;

use crate::compare::Mistake;

/// The check of a kernel.
pub struct KernelCase {
    /// The kernel's name in the file.
    pub kernel: &'static str,
    /// Its launches, the smallest first.
    pub launches: Vec<KernelLaunch>,
}

/// One launch.
pub struct KernelLaunch {
    /// What is special about it, such as `1000 elements`.
    pub what: String,
    /// Blocks along x and y.
    pub grid: [u32; 2],
    /// Threads of a block along x and y.
    pub block: [u32; 2],
    /// The arguments, in the kernel's order.
    pub arguments: Vec<Argument>,
    /// What it may cost.
    pub limits: Vec<Limit>,
}

/// An argument of a kernel.
pub enum Argument {
    /// A number.
    Number(u32),
    /// An array of f32 to read, with its name.
    Input(&'static str, Vec<f64>),
    /// An array of f32 to write, with its name, and what must be in it.
    Output(&'static str, Vec<f64>, Vec<Mistake<'static>>),
}

/// How much of something a launch may take.
pub struct Limit {
    /// Of what.
    pub counter: Counter,
    /// How much it needs.
    pub needed: u64,
    /// What to do about more.
    pub advice: &'static str,
}

/// What the emulator counts.
#[derive(Clone, Copy)]
pub enum Counter {
    /// Transactions of 32 bytes that loads from global memory take.
    Loads,
    /// Transactions of 32 bytes that stores to global memory take.
    Stores,
    /// Warp accesses to shared memory.
    Shared,
    /// Cycles that accesses to shared memory wait for a bank.
    Conflicts,
}

impl Counter {
    /// The count of a launch.
    pub fn of(self, report: &Report) -> u64 {
        match self {
            Counter::Loads => report.load_sectors,
            Counter::Stores => report.store_sectors,
            Counter::Shared => report.shared_requests,
            Counter::Conflicts => report.bank_conflicts,
        }
    }

    /// What is counted, in words.
    pub fn name(self) -> &'static str {
        match self {
            Counter::Loads => "transactions of 32 bytes for its loads",
            Counter::Stores => "transactions of 32 bytes for its stores",
            Counter::Shared => "accesses of a warp to shared memory",
            Counter::Conflicts => "extra cycles for bank conflicts",
        }
    }
}
