//! A kernel ready to run.

use super::instruction::{Instruction, R};
use crate::error::Place;
use crate::types::{Class, Ty};

/// Initial value of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Preset {
    Word(u32),
    Long(u64),
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NumWarps,
    LanesEq,
    LanesLe,
    LanesLt,
    LanesGe,
    LanesGt,
    DynamicShared,
    TotalShared,
    /// Address of module variable, plus offset.
    Global(u32, i64),
    /// All lanes on.
    True,
    False,
}

/// The order in which lanes that parted run: those at the lowest number.
#[derive(Debug, Default)]
pub struct Order {
    /// The number of each instruction.
    pub at: Vec<u32>,
    /// The number of the first instruction of a loop for lanes that come back to it: that of the
    /// loop's end, where they wait for the others in the loop. 0 elsewhere.
    pub again: Vec<u32>,
}

impl Order {
    /// The number of lanes that come from one instruction to another.
    #[inline]
    pub fn between(&self, from: u32, to: u32) -> u32 {
        let (from, to) = (from as usize, to as usize);
        if self.at[to] <= self.at[from] && self.again[to] != 0 {
            return self.again[to];
        }
        self.at[to]
    }

    /// Do lanes that go from one instruction to another stay in the same turn of every loop?
    pub fn forward(&self, from: u32, to: u32) -> bool {
        self.at[to as usize] > self.at[from as usize]
    }
}

/// A kernel ready to run.
#[derive(Debug)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Instructions; a jump target is an index.
    pub code: Vec<Instruction>,
    /// Where each instruction came from.
    pub places: Vec<Place>,
    /// Longer operand lists.
    pub lists: Vec<R>,
    /// Targets of `brx.idx`: each `imm` names a list here.
    pub tables: Vec<Vec<u32>>,
    /// Which of the lanes that parted run first.
    pub order: Order,
    /// Can a thread that stands here still come to a barrier or another collective?
    pub collective_ahead: Vec<bool>,
    /// Slots of the register files: words, longs, predicates.
    pub slots: [usize; 3],
    /// Registers with initial values: class, slot, value.
    pub presets: Vec<(Class, R, Preset)>,
    /// Offset and type of parameters.
    pub params: Vec<(usize, usize, Ty)>,
    /// Bytes of all parameters.
    pub param_bytes: usize,
    /// Bytes of static shared memory.
    pub shared_bytes: usize,
    /// Where dynamic shared memory begins, if the kernel uses it.
    pub dynamic_shared: usize,
    /// Bytes of local memory of a thread.
    pub local_bytes: usize,
    /// Smallest shared access in bytes: the granularity of the race check.
    pub shared_grain: usize,
    /// The same for global memory.
    pub global_grain: usize,
    /// Must blocks run in sequence, because a result depends on the order?
    pub ordered: bool,
    /// Maximum threads per block.
    pub max_threads: Option<u64>,
    /// The only block shape allowed.
    pub required_threads: Option<[u32; 3]>,
}
