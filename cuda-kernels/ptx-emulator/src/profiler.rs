//! Counts what a kernel does, instruction by instruction.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::error::Place;
use super::ops::{Kernel, Op};
use super::types::{Space, Ty};
use super::warp::{LANES, lanes};

/// Bytes of a transaction of global memory.
pub const SECTOR: u64 = 32;
/// Banks of shared memory, 4 bytes wide.
const BANKS: u64 = 32;

/// Counts for one instruction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Executions by warps.
    pub warps: u64,
    /// Executions by threads.
    pub threads: u64,
    /// Warp accesses to memory.
    pub requests: u64,
    /// Transactions of 32 bytes of global memory.
    pub sectors: u64,
    /// Bytes that threads requested.
    pub bytes: u64,
    /// Extra cycles because lanes access different words of one bank.
    pub conflicts: u64,
    /// Divergent branches.
    pub divergent: u64,
    /// Cycles of the critical path that the first block's first warp waits at it, or takes to issue it.
    pub path: u64,
}

impl Count {
    /// Adds all counts of another place.
    pub fn add(&mut self, other: &Count) {
        self.warps += other.warps;
        self.threads += other.threads;
        self.requests += other.requests;
        self.sectors += other.sectors;
        self.bytes += other.bytes;
        self.conflicts += other.conflicts;
        self.divergent += other.divergent;
        self.path += other.path;
    }
}

/// A class of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum InstructionClass {
    FloatFma,
    Float,
    FloatApprox,
    Double,
    Half,
    Matrix,
    Integer,
    Move,
    Convert,
    Compare,
    GlobalLoad,
    GlobalStore,
    GlobalAtomic,
    Shared,
    SharedAtomic,
    Local,
    Param,
    Control,
    Barrier,
    WarpCollective,
    Other,
}

impl InstructionClass {
    /// The class in words.
    pub fn name(self) -> &'static str {
        match self {
            InstructionClass::FloatFma => "f32 fma",
            InstructionClass::Float => "f32 other",
            InstructionClass::FloatApprox => "f32 approx",
            InstructionClass::Double => "f64",
            InstructionClass::Half => "f16/bf16",
            InstructionClass::Matrix => "mma/ldmatrix",
            InstructionClass::Integer => "integer",
            InstructionClass::Move => "move/select",
            InstructionClass::Convert => "convert",
            InstructionClass::Compare => "compare",
            InstructionClass::GlobalLoad => "global load",
            InstructionClass::GlobalStore => "global store",
            InstructionClass::GlobalAtomic => "global atomic",
            InstructionClass::Shared => "shared",
            InstructionClass::SharedAtomic => "shared atomic",
            InstructionClass::Local => "local",
            InstructionClass::Param => "parameter",
            InstructionClass::Control => "control",
            InstructionClass::Barrier => "barrier/fence",
            InstructionClass::WarpCollective => "shuffle/vote",
            InstructionClass::Other => "other",
        }
    }

    /// The class of an instruction.
    pub fn of(op: Op) -> InstructionClass {
        use InstructionClass::*;
        match op {
            Op::Logic(super::ops::Logic::Mov, _) | Op::Select(_) => Move,
            Op::Pack { .. } | Op::Unpack { .. } => Move,
            Op::Float(float, Ty::F32, _) => match float {
                super::ops::Float::Fma => FloatFma,
                super::ops::Float::Ex2
                | super::ops::Float::Lg2
                | super::ops::Float::Sin
                | super::ops::Float::Cos => FloatApprox,
                super::ops::Float::Tanh
                | super::ops::Float::RsqrtApprox
                | super::ops::Float::RcpApprox => FloatApprox,
                super::ops::Float::SqrtApprox | super::ops::Float::DivApprox => FloatApprox,
                _ => InstructionClass::Float,
            },
            Op::Float(_, Ty::F64, _) => Double,
            Op::Float(..) => Half,
            Op::Logic(..) | Op::Int(..) | Op::Int3(..) | Op::Carry { .. } | Op::Dot { .. } => {
                Integer
            }
            Op::SetP { .. } | Op::Set { .. } | Op::TestP(..) => Compare,
            Op::Convert { .. } | Op::ConvertPair { .. } | Op::ConvertFp8 { .. } => Convert,
            Op::PackSaturated { .. } => Convert,
            Op::ToGeneric(..) | Op::FromGeneric(..) | Op::IsSpace(_) => Integer,
            Op::Load { space, .. } => match space {
                Space::Shared => Shared,
                Space::Local => Local,
                Space::Param => Param,
                _ => GlobalLoad,
            },
            Op::Store { space, .. } => match space {
                Space::Shared => Shared,
                Space::Local | Space::Param => Local,
                _ => GlobalStore,
            },
            Op::Atomic { space: Space::Shared, .. } => SharedAtomic,
            Op::Atomic { .. } => GlobalAtomic,
            Op::CopyAsync { .. } => GlobalLoad,
            Op::CopyCommit | Op::CopyWait | Op::Fence { .. } => Barrier,
            Op::Barrier { .. } | Op::BarrierReduce { .. } | Op::WarpBarrier => Barrier,
            Op::Shuffle(_) | Op::Vote(_) | Op::MatchAny(_) | Op::MatchAll(_) => WarpCollective,
            Op::Redux(..) | Op::ReduxFloat { .. } | Op::ActiveMask | Op::Elect => WarpCollective,
            Op::MBarrier(..) => Barrier,
            Op::MoveMatrix | Op::Mma(_) | Op::LoadMatrix { .. } | Op::StoreMatrix { .. } => Matrix,
            Op::Branch | Op::BranchIndex | Op::Exit | Op::Trap => Control,
            Op::Clock(_) | Op::Nop => Other,
        }
    }
}

/// A warp's access to memory: which lane touches which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarpAccess {
    /// The instruction.
    pub place: Place,
    /// Number of the warp in the block.
    pub warp: u16,
    /// To shared memory, not global.
    pub shared: bool,
    /// Bytes of each lane.
    pub bytes: usize,
    /// Lanes that take part.
    pub active: u32,
    /// The lanes' addresses; those of shared memory count from its start.
    pub at: [u64; LANES],
}

/// Counts while a launch runs.
#[derive(Debug, Default)]
pub struct Profile {
    /// One count per instruction.
    pub counts: Vec<Count>,
    /// The first accesses of the first block.
    accesses: Vec<WarpAccess>,
    /// How many of them are kept.
    most_accesses: usize,
    /// Cycles of the first block's critical path, if it is this worker's.
    critical_path: u64,
    /// The sectors of global memory that were touched, 64 to an entry.
    touched: HashMap<u64, u64>,
}

impl Profile {
    /// Nothing counted yet; keeps so many of the first block's accesses.
    pub fn new(kernel: &Kernel, most_accesses: usize) -> Profile {
        let counts = vec![Count::default(); kernel.code.len()];
        Profile { counts, most_accesses, ..Profile::default() }
    }

    /// Keeps an access of the first block.
    pub fn keep(&mut self, access: impl FnOnce() -> WarpAccess) {
        if self.accesses.len() < self.most_accesses {
            self.accesses.push(access());
        }
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Profile) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            count.add(other);
        }
        self.critical_path = self.critical_path.max(other.critical_path);
        self.accesses.extend(&other.accesses);
        for (&at, &sectors) in &other.touched {
            *self.touched.entry(at).or_default() |= sectors;
        }
    }

    /// A warp runs instructions one after the other, with the same lanes.
    pub fn run(&mut self, code: RangeInclusive<usize>, active: u32) {
        for count in &mut self.counts[code] {
            count.warps += 1;
            count.threads += u64::from(active.count_ones());
        }
    }

    /// A warp of the first block runs an instruction that adds so many cycles to the warp's, and makes the
    /// block's so many.
    pub fn follow(&mut self, w: usize, pc: usize, added: u64, cycles: u64) {
        self.critical_path = cycles;
        self.counts[pc].path += if w == 0 { added } else { 0 };
    }

    /// A warp's access to global memory.
    pub fn global(&mut self, pc: usize, at: &[u64; LANES], active: u32, bytes: usize) {
        let (sectors, used) = sectors(at, active);
        let sectors = &sectors[..used];
        // Neighbours mostly share an entry.
        for group in sectors.chunk_by(|a, b| a / 64 == b / 64) {
            let bits = group.iter().fold(0, |bits, sector| bits | 1 << (sector % 64));
            *self.touched.entry(group[0] / 64).or_default() |= bits;
        }
        let count = &mut self.counts[pc];
        count.requests += 1;
        count.sectors += distinct(sectors);
        count.bytes += u64::from(active.count_ones()) * bytes as u64;
    }

    /// A warp's access to shared memory.
    pub fn shared(&mut self, pc: usize, at: &[u64; LANES], active: u32, bytes: usize) {
        let count = &mut self.counts[pc];
        count.requests += 1;
        count.conflicts += bank_conflicts(at, active, bytes);
        count.bytes += u64::from(active.count_ones()) * bytes as u64;
    }
}

/// The sectors that a warp's access to global memory touches, in order, and how many are set; some
/// come more than once.
fn sectors(at: &[u64; LANES], active: u32) -> ([u64; LANES], usize) {
    let (mut sectors, mut used) = ([0u64; LANES], 0);
    for lane in lanes(active) {
        let sector = at[lane] / SECTOR;
        if used == 0 || sectors[used - 1] != sector {
            sectors[used] = sector;
            used += 1;
        }
    }
    sectors[..used].sort_unstable();
    (sectors, used)
}

/// How many there are in a sorted list.
fn distinct(sectors: &[u64]) -> u64 {
    1 + sectors.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64
}

/// Transactions of 32 bytes that a warp's access to global memory takes; some lane must take part.
pub fn transactions(at: &[u64; LANES], active: u32) -> u64 {
    let (sectors, used) = sectors(at, active);
    distinct(&sectors[..used])
}

/// Extra cycles that a warp's access to shared memory takes: 128 bytes per cycle, one word per bank.
pub fn bank_conflicts(at: &[u64; LANES], active: u32, bytes: usize) -> u64 {
    let lanes_per_turn = (128 / bytes.max(4)).min(LANES);
    let mut conflicts = 0;
    for turn in 0..LANES / lanes_per_turn {
        let mask = if lanes_per_turn == LANES { u32::MAX } else { (1 << lanes_per_turn) - 1 };
        let mask = active & (mask << (turn * lanes_per_turn));
        if in_different_banks(at, mask, bytes) {
            continue;
        }
        // The words of this cycle, and how many distinct ones each bank holds.
        let (mut words, mut used) = ([0; LANES], 0);
        for lane in lanes(mask) {
            for word in at[lane] / 4..(at[lane] + bytes as u64).div_ceil(4) {
                words[used] = word;
                used += 1;
            }
        }
        let words = &mut words[..used];
        words.sort_unstable();
        let mut banks = [0u64; BANKS as usize];
        for same in words.chunk_by(|a, b| a == b) {
            banks[(same[0] % BANKS) as usize] += 1;
        }
        conflicts += banks.into_iter().max().unwrap_or(0).saturating_sub(1);
    }
    conflicts
}

/// Do these lanes want words of different banks, or neighbouring lanes the same ones? Then there is no
/// conflict among them.
fn in_different_banks(at: &[u64; LANES], mask: u32, bytes: usize) -> bool {
    let (mut taken, mut last) = (0u32, u64::MAX);
    lanes(mask).all(|lane| {
        let (at, before) = (at[lane], std::mem::replace(&mut last, at[lane]));
        let words = (at + bytes as u64).div_ceil(4) - at / 4;
        let banks = ((1u32 << words) - 1).rotate_left((at / 4 % BANKS) as u32);
        let free = at == before || taken & banks == 0;
        taken |= banks;
        free
    })
}

/// Counts for a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Instructions, counted per thread.
    pub instructions: u64,
    /// Instructions, counted per warp.
    pub warp_instructions: u64,
    /// Instructions per thread by class, most frequent first; only with `profile`, like all below.
    pub classes: Vec<(InstructionClass, u64)>,
    /// Warp loads from global memory.
    pub global_loads: u64,
    /// Warp stores (and atomics) to global memory.
    pub global_stores: u64,
    /// Transactions of 32 bytes that the loads need.
    pub load_sectors: u64,
    /// Transactions of 32 bytes that the stores need.
    pub store_sectors: u64,
    /// Bytes that threads requested in loads.
    pub load_bytes: u64,
    /// Bytes that threads stored.
    pub store_bytes: u64,
    /// Transactions' worth of global memory that was touched at all.
    pub distinct_sectors: u64,
    /// Operations on tensor cores: tf32, f16 and bf16, 8 bits, f64.
    pub matrix_work: [u64; 4],
    /// Warp accesses to shared memory.
    pub shared_requests: u64,
    /// Extra shared-memory cycles due to bank conflicts.
    pub bank_conflicts: u64,
    /// Cycles that the first block takes at least, by its longest chain of dependent instructions.
    pub critical_path: u64,
    /// Threads of a block, bytes of shared memory and, where the kernel states them, registers.
    pub block: [u64; 3],
    /// Jumps of a warp.
    pub branches: u64,
    /// Divergent ones.
    pub divergent_branches: u64,
    /// Each instruction: where it came from, its class and its count.
    pub hot: Vec<(Place, InstructionClass, Count)>,
    /// The first block's accesses, as many as were asked for.
    pub accesses: Vec<WarpAccess>,
}

impl Report {
    /// Sums up a profile.
    pub fn new(kernel: &Kernel, instructions: [u64; 2], profile: Option<&Profile>) -> Report {
        let [threads, warps] = instructions;
        let mut report =
            Report { instructions: threads, warp_instructions: warps, ..Report::default() };
        let Some(profile) = profile else { return report };
        let mut classes = HashMap::new();
        for ((i, &place), count) in kernel.code.iter().zip(&kernel.places).zip(&profile.counts) {
            let class = InstructionClass::of(i.op);
            *classes.entry(class).or_insert(0) += count.threads;
            report.hot.push((place, class, *count));
            if matches!(i.op, Op::Branch | Op::BranchIndex) {
                report.branches += count.warps;
                report.divergent_branches += count.divergent;
            }
            report.bank_conflicts += count.conflicts;
            if let Op::Mma(mma) = i.op {
                let kind = match mma.a {
                    Ty::Tf32 => 0,
                    Ty::F16 | Ty::Bf16 => 1,
                    Ty::F64 => 3,
                    _ => 2,
                };
                report.matrix_work[kind] += count.warps * mma.operations();
            }
            if matches!(i.op, Op::Store { .. } | Op::Atomic { .. }) && count.sectors > 0 {
                report.global_stores += count.requests;
                report.store_sectors += count.sectors;
                report.store_bytes += count.bytes;
            } else if count.sectors > 0 {
                report.global_loads += count.requests;
                report.load_sectors += count.sectors;
                report.load_bytes += count.bytes;
            } else {
                report.shared_requests += count.requests;
            }
        }
        report.critical_path = profile.critical_path;
        report.accesses.clone_from(&profile.accesses);
        report.distinct_sectors =
            profile.touched.values().map(|sectors| u64::from(sectors.count_ones())).sum();
        report.classes = classes.into_iter().filter(|&(_, count)| count > 0).collect();
        report.classes.sort_by_key(|&(class, count)| (std::cmp::Reverse(count), class));
        report
    }

    /// Bytes that go to and from DRAM if nothing is cached.
    pub fn dram_bytes(&self) -> u64 {
        (self.load_sectors + self.store_sectors) * SECTOR
    }

    /// Fraction of the transactions' bytes that threads requested; above 1 if lanes share bytes.
    pub fn efficiency(&self) -> f64 {
        let moved = self.dram_bytes();
        if moved == 0 { 1.0 } else { (self.load_bytes + self.store_bytes) as f64 / moved as f64 }
    }
}
