//! A warp's environment, and its errors.

use crate::error::FaultKind;
use crate::memory::Memory;
use crate::module::Module;
use crate::ops::{Instruction, Kernel, NONE};
use crate::profiler::Profile;
use crate::sanitizer::Sanitizer;
use crate::warp::{FULL, Warp, Way};

/// A fault, before the launch adds its location.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: FaultKind,
    /// Which lane.
    pub lane: usize,
    /// Details.
    pub detail: String,
}

/// A boxed fault: the normal case should cost nothing.
pub type Trouble = Box<Problem>;

/// Makes a problem.
pub fn trouble(kind: FaultKind, lane: usize, detail: impl Into<String>) -> Trouble {
    Box::new(Problem { kind, lane, detail: detail.into() })
}

/// A read of shared memory that nobody has written yet. What comes shows whether a thread writes it, with
/// nothing that orders the two, or none does.
#[derive(Debug)]
pub struct Unwritten {
    /// The fault so far.
    pub problem: Problem,
    /// The warp and the instruction.
    pub warp: u16,
    pub pc: u32,
}

/// A warp's environment, apart from its registers.
pub struct Env<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Its module, for messages.
    pub module: &'a Module,
    /// Device memory.
    pub memory: &'a Memory,
    /// The parameters.
    pub params: &'a [u8],
    /// The block's shared memory.
    pub shared: Vec<u8>,
    /// Set if the launch is checked.
    pub sanitizer: Option<Box<Sanitizer>>,
    /// Set if the launch is profiled.
    pub profile: Option<Box<Profile>>,
    /// Is what the kernel's course does not depend on only counted?
    pub only_counts: bool,
    /// Then, if the course depends on shared memory: the bytes of it that were to be copied to.
    pub copied: Vec<bool>,
    /// The allocation that each instruction used last.
    pub last_used: Vec<u32>,
    /// Does a block go on after a read of shared memory that was not written?
    pub goes_on: bool,
    /// The first such read.
    pub unwritten: Option<Box<Unwritten>>,
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: u16,
    /// The current instruction.
    pub pc: u32,
    /// How often the warp has read memory, in its turn, as threads do that wait for others.
    pub polls: u32,
    /// Has memory changed, or may it have, since this was last looked at?
    pub changed: bool,
    /// Does memory track writes?
    pub watched: bool,
}

/// What the warp does after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Continues.
    On,
    /// Reached a barrier of the block (given by the instruction).
    Barrier,
}

/// Lanes of a way enabled by an instruction's guard.
#[inline(always)]
pub fn guarded(warp: &Warp, way: Way, i: &Instruction) -> u32 {
    if i.guard == NONE {
        return way.mask;
    }
    let bits = warp.preds[i.guard as usize] ^ if i.negated { FULL } else { 0 };
    way.mask & bits
}
