//! A kernel ready to run.

use super::instruction::{Instruction, NONE, R};
use crate::error::Place;
use crate::types::{Class, Ty};

/// Initial value of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Preset {
    Word(u32),
    Long(u64),
    /// Where a compiler has put all local variables of a function.
    Depot(u64),
    /// An address in the shared variable that begins and ends at these bytes.
    Shared {
        at: u32,
        variable: (u32, u32),
        wide: bool,
    },
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

/// The order in which lanes that parted run: those at the lowest number come first.
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

/// What the code as a whole says about one instruction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    /// Does it store what is the same for all threads of a launch?
    pub constant: bool,
    /// Does it load what a compare-and-swap at the same address will check?
    pub checked: bool,
    /// Does it load what ends a loop around it?
    pub polls: bool,
    /// Elements of its vector that nobody uses though others are used, a bit each; 0 of a strong load.
    pub unused: u8,
    /// The bytes of local or shared memory that its address must stay in, where that is known.
    pub object: Option<(u32, u32)>,
}

/// The instructions on whose results a kernel's jumps, guards and addresses depend.
#[derive(Debug, Default)]
pub struct Slice {
    /// Is each instruction one of them?
    pub inside: Vec<bool>,
    /// Does one of them read shared or local memory? Then stores to the same variables are among them.
    pub reads_memory: bool,
    /// Does one of them read global memory, or can that not be told?
    pub needs_data: bool,
}

/// The registers that each instruction reads and writes, by their numbers before they share slots.
#[derive(Debug, Default)]
pub struct Flow {
    /// Of one instruction after the other.
    registers: Vec<R>,
    /// Where those that an instruction reads end, and those that it writes.
    ends: Vec<[u32; 2]>,
    /// How many there are.
    pub count: usize,
}

impl Flow {
    /// That of a kernel whose registers do not share slots yet.
    pub fn new(kernel: &Kernel, count: usize) -> Flow {
        let mut flow = Flow { count, ..Flow::default() };
        for i in &kernel.code {
            flow.registers.extend(kernel.reads(i));
            let read = flow.registers.len() as u32;
            flow.registers.extend(kernel.writes(i));
            flow.ends.push([read, flow.registers.len() as u32]);
        }
        flow
    }

    /// What an instruction reads and writes.
    pub fn of(&self, pc: usize) -> [&[R]; 2] {
        let start = pc.checked_sub(1).map_or(0, |before| self.ends[before][1]) as usize;
        let [read, written] = self.ends[pc].map(|end| end as usize);
        [&self.registers[start..read], &self.registers[read..written]]
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
    /// What the sanitizer knows of each instruction.
    pub hints: Vec<Hint>,
    /// Which instructions decide its course.
    pub slice: Slice,
    /// What each instruction reads and writes.
    pub flow: Flow,
    /// Longer operand lists.
    pub lists: Vec<R>,
    /// Targets of `brx.idx`: each `imm` names a list here.
    pub tables: Vec<Vec<u32>>,
    /// How many instructions from each on run one after the other, whatever happens: without guards,
    /// jumps or meetings of lanes.
    pub straight: Vec<u32>,
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
    /// Where each of its variables begins and ends.
    pub locals: Vec<(u32, u32)>,
    /// Smallest shared access in bytes: the granularity of the race check.
    pub shared_grain: usize,
    /// The same for global memory.
    pub global_grain: usize,
    /// Must blocks run in sequence, because a result depends on the order?
    pub ordered: bool,
    /// Maximum threads per block.
    pub max_threads: Option<u64>,
    /// Most registers of a thread (`.maxnreg`), where that is stated: then it has as many.
    pub registers: Option<u32>,
    /// The only block shape allowed.
    pub required_threads: Option<[u32; 3]>,
}

impl Kernel {
    /// The registers that an instruction reads.
    pub fn reads<'a>(&'a self, i: &'a Instruction) -> impl Iterator<Item = R> + 'a {
        // A guarded write keeps the old value in the other lanes, so it also reads.
        let kept = (i.guard != NONE).then(|| self.writes(i)).into_iter().flatten();
        [i.guard].into_iter().chain(self.operands(i)).chain(kept).filter(|&r| r != NONE)
    }

    /// Those whose values it uses.
    pub fn operands<'a>(&'a self, i: &'a Instruction) -> impl Iterator<Item = R> + 'a {
        let ins = self.lists[i.ins.range()].iter().copied();
        [i.a, i.b, i.c].into_iter().chain(ins).filter(|&r| r != NONE)
    }

    /// The registers that an instruction writes.
    pub fn writes<'a>(&'a self, i: &'a Instruction) -> impl Iterator<Item = R> + 'a {
        let outs = self.lists[i.outs.range()].iter().copied();
        [i.d, i.e].into_iter().chain(outs).filter(|&r| r != NONE)
    }
}
