//! What a warp did, instruction by instruction: lanes, results, accesses, and its block's shared
//! memory.

use super::error::Place;
use super::launch::Param;
use super::profiler::InstructionClass;
use super::registers::Longs;

/// What a warp did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// The kernel's name.
    pub kernel: String,
    /// Blocks of the launch along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub block: [u32; 3],
    /// The block's number in the grid.
    pub in_block: u32,
    /// The warp's number in the block.
    pub warp: usize,
    /// The kernel's parameters: names and values.
    pub params: Vec<(String, Param)>,
    /// The registers that the text names, as far as the kernel uses them.
    pub registers: Vec<NamedRegister>,
    /// The kernel's instructions.
    pub code: Vec<RecordedInstruction>,
    /// Bytes of the block's shared memory.
    pub shared_bytes: usize,
    /// Instructions that the warp ran, in its order.
    pub steps: Vec<RecordedStep>,
    /// Did it go on after the last of them?
    pub is_cut: bool,
}

/// A register by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegister {
    /// Its name in the text; one of a function that is called begins with the function's.
    pub name: String,
    /// Its type's suffix: `f32`, `b64`, `pred` and so on.
    pub ty: String,
}

/// An instruction of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedInstruction {
    /// Where it is.
    pub place: Place,
    /// What kind it is.
    pub class: InstructionClass,
    /// Is it a jump?
    pub jumps: bool,
    /// Is it a barrier of the block?
    pub is_barrier: bool,
    /// The registers that it reads, by their index.
    pub reads: Vec<usize>,
    /// Those that it writes.
    pub writes: Vec<usize>,
}

/// An instruction that the warp ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedStep {
    /// Its index in the kernel.
    pub pc: usize,
    /// Lanes that have not ended.
    pub live: u32,
    /// Lanes that are here; the other live ones wait elsewhere.
    pub here: u32,
    /// Lanes that run it: those here, unless its guard keeps some from it. Of a jump, those that take
    /// it.
    pub active: u32,
    /// The values of the registers that it writes, of all lanes, afterwards.
    pub results: Vec<(usize, Longs)>,
    /// Its access to global or shared memory.
    pub access: Option<RecordedAccess>,
    /// What became of shared memory since the warp's step before, through others.
    pub others: Vec<SharedWrite>,
    /// What it wrote to shared memory.
    pub writes: Vec<SharedWrite>,
}

/// An access to memory: which lane touches which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedAccess {
    /// To shared memory, not global.
    pub shared: bool,
    /// Does it write?
    pub writes: bool,
    /// Bytes of each lane.
    pub bytes: usize,
    /// Lanes that take part.
    pub active: u32,
    /// The lanes' addresses; those of shared memory count from its start.
    pub at: Longs,
    /// Transactions of 32 bytes that it takes, or cycles of shared memory; none of an address that is
    /// no multiple of the size.
    pub cost: Option<u64>,
}

/// A word of shared memory that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedWrite {
    /// Its index in shared memory.
    pub word: usize,
    /// What it holds now.
    pub value: u32,
    /// The thread that wrote it, by its number in the block; none if a copy did that was on its way.
    pub thread: Option<usize>,
    /// How many barriers of the block the thread's warp had come to before.
    pub barriers: u32,
}
