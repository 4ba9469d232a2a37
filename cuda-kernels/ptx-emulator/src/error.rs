//! Errors: rejected text, and kernel faults.

use std::fmt;

use super::registers::LANES;

/// Why a PTX text was refused: one line with its name and line number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {message}")]
pub struct PtxError {
    /// The name given to the text.
    pub name: String,
    /// The line in the text, from 1.
    pub line: u32,
    /// What was found and what is expected.
    pub message: String,
}

/// The kind of a kernel fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An access outside every allocation, the block's shared memory or the thread's local memory.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// A read of shared memory not written by any thread of the block.
    UninitialisedShared,
    /// A read of global memory not written since its allocation.
    UninitialisedGlobal,
    /// A read of local memory that the thread never wrote.
    UninitialisedLocal,
    /// Two threads of a block touch the same bytes, one writing, with no barrier between.
    Race,
    /// Two blocks of a launch touch the same bytes, one writing.
    RaceBetweenBlocks,
    /// Threads that should meet at one barrier do not.
    BarrierDivergence,
    /// A `.sync` instruction whose member mask names missing lanes, or a shuffle that reads one.
    WarpDivergence,
    /// A thread ran more instructions than the budget allows.
    Budget,
    /// `trap`, or a failed assertion.
    Trap,
    /// The launch itself does not fit the kernel (geometry, parameters, shared memory).
    Launch,
}

impl FaultKind {
    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::OutOfBounds => "out of bounds",
            FaultKind::Misaligned => "misaligned access",
            FaultKind::UninitialisedShared => "uninitialised shared memory",
            FaultKind::UninitialisedGlobal => "uninitialised global memory",
            FaultKind::UninitialisedLocal => "uninitialised local memory",
            FaultKind::Race => "race",
            FaultKind::RaceBetweenBlocks => "race between blocks",
            FaultKind::BarrierDivergence => "barrier divergence",
            FaultKind::WarpDivergence => "warp divergence",
            FaultKind::Budget => "instruction budget",
            FaultKind::Trap => "trap",
            FaultKind::Launch => "launch",
        }
    }
}

/// Where an instruction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line of the PTX text, from 1.
    pub line: u32,
    /// Index of the source file, as `.file` numbers them; 0 if unknown.
    pub file: u32,
    /// Line of the source file, as `.loc` says; 0 if unknown.
    pub source_line: u32,
}

/// A launch that was stopped: what happened, where and by which thread. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The kernel.
    pub kernel: String,
    /// The name given to the PTX text.
    pub module: Box<str>,
    /// Line of the PTX text; 0 for a fault of the launch itself.
    pub line: u32,
    /// The source file that `.loc` names, empty if unknown.
    pub source: Box<str>,
    /// The line of the source file, 0 if unknown.
    pub source_line: u32,
    /// `%ctaid` of the block.
    pub block: [u32; 3],
    /// `%tid` of the thread.
    pub thread: [u32; 3],
    /// Addresses, sizes, the other thread of a race.
    pub detail: String,
}

impl Fault {
    /// The number of its block in the grid, x fastest, and of its warp in the block, given their sizes.
    pub fn warp(&self, grid: [u32; 3], block: [u32; 3]) -> (u32, usize) {
        let number = |[x, y, z]: [u32; 3], [sx, sy, _]: [u32; 3]| x + sx * (y + sy * z);
        (number(self.block, grid), number(self.thread, block) as usize / LANES)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.kernel, self.kind.name(), self.detail)?;
        if self.line == 0 {
            return Ok(());
        }
        write!(f, "; {}:{}", self.module, self.line)?;
        if self.source_line != 0 {
            write!(f, " ({}:{})", self.source, self.source_line)?;
        }
        let ([bx, by, bz], [tx, ty, tz]) = (self.block, self.thread);
        write!(f, ", block ({bx},{by},{bz}), thread ({tx},{ty},{tz})")
    }
}

impl std::error::Error for Fault {}
