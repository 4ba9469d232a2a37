//! The critical path of a block: the cycles that its longest chain of dependent instructions takes at
//! least, however many others a multiprocessor runs beside them.
//!
//! Between two jumps, barriers or waits the compiler may order a warp's instructions as it likes, so each
//! of them begins as soon as its operands are there; behind a jump begins only what was issued before it,
//! because a warp issues in order. Whole warps are followed, not lanes. What a compiler may remove
//! (integers, moves, jumps) takes no time.

use std::collections::HashSet;

use super::ops::{Float, Instruction, Kernel, MBarrier, Op};
use super::profiler::{InstructionClass, SECTOR};
use super::types::{Space, Ty};
use super::warp::{Warp, lanes};
use super::windows::same_space;

/// Cycles until a result can be used: the lowest that was published for an A100, an H100 or an RTX 4090.
/// - Arithmetic, also of f64, functions, shared memory, L1 and L2: H. Abdelkhalik et al., "Demystifying
///   the Nvidia Ampere Architecture through Microbenchmarking and Instruction-level Analysis" (2022).
///   W. Luo et al., "Dissecting the NVIDIA Hopper Architecture through Microbenchmarking and Multiple
///   Level Analysis" (2025), has more for each level of an H100's and a 4090's memory.
/// - Tensor cores: W. Sun et al., "Dissecting Tensor Cores via Microbenchmarks: Latency, Throughput and
///   Numeric Behaviors" (2022).
/// - Shuffles: L. Zhang et al., "A Study of Single and Multi-device Synchronization Methods in Nvidia
///   GPUs" (2020).
///
/// The papers' own tables were not at hand: these are their values as others cite them, rounded down.
pub mod latency {
    /// Sums, products and comparisons of floats, and conversions to and from them.
    pub const ARITHMETIC: u64 = 4;
    /// Approximate functions, which a unit of their own computes: the shortest.
    pub const FUNCTION: u64 = 8;
    /// `ex2` and `lg2`.
    pub const EXPONENT: u64 = 16;
    /// Approximate square roots and their inverses.
    pub const ROOT: u64 = 18;
    /// Approximate inverses.
    pub const INVERSE: u64 = 23;
    /// A load from shared memory.
    pub const SHARED: u64 = 23;
    /// A lane's register in another lane.
    pub const SHUFFLE: u64 = 22;
    /// A load from the L1 cache: of what the block has touched before.
    pub const L1: u64 = 33;
    /// A load from the L2 cache: of what the block has not.
    pub const L2: u64 = 200;
    /// A product on tensor cores, of 16 bytes of a row and of 32.
    pub const MATRIX: [u64; 2] = [17, 24];
}
use latency::*;

/// The cycles of a warp.
#[derive(Debug, Default)]
struct Clock {
    /// When the instructions since the last jump could begin, and how many were issued since.
    start: u64,
    issued: u64,
    /// When the last of them began.
    latest: u64,
    /// When each register is there.
    ready: Vec<u64>,
    /// When the asynchronous copies so far are complete; the same up to each group.
    copied: u64,
    groups: Vec<u64>,
    /// The barrier it waits at.
    waits: Option<usize>,
    /// The end that its steps have told of so far.
    told: u64,
}

impl Clock {
    /// When all so far was issued.
    fn end(&self) -> u64 {
        self.latest.max(self.start + self.issued)
    }

    /// All so far was issued: when the next instruction can begin.
    fn pass(&mut self) -> u64 {
        self.start = self.end();
        (self.latest, self.issued) = (self.start, 0);
        self.start
    }

    /// Nothing begins before this cycle.
    fn wait(&mut self, until: u64) {
        self.start = self.pass().max(until);
        self.latest = self.start;
    }
}

/// Follows the warps of a block.
#[derive(Debug, Default)]
pub struct CriticalPath {
    warps: Vec<Clock>,
    /// When the last warp came to each barrier that some wait at.
    barriers: [u64; 16],
    /// Sectors of global memory that the block has touched.
    touched: HashSet<u64>,
    /// The cycle of the last instruction.
    pub cycles: u64,
}

impl CriticalPath {
    /// Warp `w` is about to run an instruction: how many cycles that adds to the warp's.
    pub fn step(&mut self, kernel: &Kernel, w: usize, pc: usize, active: u32, warp: &Warp) -> u64 {
        if self.warps.len() <= w {
            self.warps.resize_with(w + 1, Clock::default);
        }
        self.leave_barrier(w);
        let i = &kernel.code[pc];
        let [reads, writes] = kernel.flow.of(pc);
        let clock = &mut self.warps[w];
        clock.ready.resize(kernel.flow.count, 0);
        let operands = reads.iter().map(|&r| clock.ready[r as usize]);
        let begin = operands.fold(clock.start, u64::max);
        clock.latest = clock.latest.max(begin);
        if active != 0 {
            clock.issued += u64::from(is_issued(i.op));
            let cycles = self.latency(kernel, i, active, warp);
            let clock = &mut self.warps[w];
            writes.iter().for_each(|&r| clock.ready[r as usize] = begin + cycles);
            if let Op::CopyAsync { .. } | Op::MBarrier(MBarrier::CopyArrive { .. }, _) = i.op {
                clock.copied = clock.copied.max(begin + cycles);
            }
        }
        let clock = &mut self.warps[w];
        match i.op {
            Op::Branch | Op::BranchIndex | Op::Exit | Op::WarpBarrier | Op::Fence { .. } => {
                clock.pass();
            }
            Op::CopyCommit => clock.groups.push(clock.copied),
            Op::CopyWait => {
                let pending = usize::try_from(i.imm);
                let complete = match pending {
                    Ok(pending) => clock.groups.iter().rev().nth(pending).copied(),
                    Err(_) => Some(clock.copied),
                };
                clock.wait(complete.unwrap_or(0));
            }
            Op::Barrier { .. } | Op::BarrierReduce { .. } if active != 0 => {
                let number = warp.words[i.a as usize][active.trailing_zeros() as usize] as usize;
                let now = clock.pass();
                if let Some(last) = self.barriers.get_mut(number) {
                    *last = now.max(*last);
                    clock.waits =
                        (!matches!(i.op, Op::Barrier { arrive: true, .. })).then_some(number);
                }
            }
            _ => {}
        }
        let clock = &mut self.warps[w];
        let end = clock.end();
        self.cycles = self.cycles.max(end);
        end - std::mem::replace(&mut clock.told, end)
    }

    /// A warp that goes on behind a barrier: all have come, and all that wait go on at once.
    fn leave_barrier(&mut self, w: usize) {
        if let Some(number) = self.warps[w].waits {
            let last = std::mem::take(&mut self.barriers[number]);
            for clock in self.warps.iter_mut().filter(|clock| clock.waits == Some(number)) {
                clock.waits = None;
                clock.wait(last);
            }
        }
    }

    /// Cycles until its results are there.
    fn latency(&mut self, kernel: &Kernel, i: &Instruction, active: u32, warp: &Warp) -> u64 {
        match i.op {
            Op::Float(op, ty, _) => of_float(op, ty),
            Op::SetP { ty, .. } | Op::Set { ty, .. } if ty.is_float() => ARITHMETIC,
            Op::Convert { to, from, .. } if to != from && (to.is_float() || from.is_float()) => {
                ARITHMETIC
            }
            Op::ConvertPair { .. } | Op::ConvertFp8 { .. } => ARITHMETIC,
            Op::Load { space, address, .. }
            | Op::Store { space, address, .. }
            | Op::Atomic { space, address, .. } => {
                let at = warp.addresses(i, address);
                let (space, mask, at) = match space {
                    Space::Generic => same_space(&at, active),
                    space => (space, active, at),
                };
                match space {
                    // Local variables may become registers.
                    Space::Param | Space::Const | Space::Local => 0,
                    Space::Shared => SHARED,
                    _ if self.touches(&at, mask) || matches!(i.op, Op::Atomic { .. }) => L2,
                    _ => L1,
                }
            }
            Op::CopyAsync { bytes, .. } => {
                // Copies of 16 bytes pass the L1 cache by, and those of no bytes all caches.
                match warp.copy_source(&kernel.lists, i, active) {
                    (_, 0) => 0,
                    (from, reads) if self.touches(&from, reads) || bytes == 16 => L2,
                    _ => L1,
                }
            }
            Op::LoadMatrix { .. } => SHARED,
            Op::Shuffle(_) => SHUFFLE,
            Op::Vote(_) | Op::MatchAny(_) | Op::MatchAll(_) | Op::Redux(..) => ARITHMETIC,
            Op::ReduxFloat { .. } => ARITHMETIC,
            Op::Mma(mma) => {
                let bytes = usize::from(mma.k) * 4 / mma.elements();
                MATRIX[usize::from(bytes >= 32)]
            }
            Op::BarrierReduce { .. } => SHUFFLE,
            _ => 0,
        }
    }

    /// Does an access touch what the block has not?
    fn touches(&mut self, at: &[u64; 32], active: u32) -> bool {
        lanes(active).fold(false, |new, lane| self.touched.insert(at[lane] / SECTOR) | new)
    }
}

/// Does an instruction take a cycle in which its warp issues no other, whatever the compiler does?
fn is_issued(op: Op) -> bool {
    use InstructionClass::*;
    !matches!(
        InstructionClass::of(op),
        Integer | Move | Convert | Compare | Param | Control | Other | Local
    )
}

/// The latency of arithmetic on floats. Exact quotients and roots are an approximation and steps of Newton,
/// as `ptxas` makes them: so many dependent multiplications follow.
fn of_float(op: Float, ty: Ty) -> u64 {
    let steps =
        |first: u64, f32: u64, f64: u64| first + ARITHMETIC * if ty == Ty::F64 { f64 } else { f32 };
    match op {
        Float::Neg | Float::Abs | Float::CopySign => 0,
        Float::Div => steps(INVERSE, 5, 8),
        Float::Rcp => steps(INVERSE, 2, 5),
        Float::Sqrt => steps(ROOT, 3, 6),
        Float::DivApprox | Float::RcpApprox => INVERSE,
        Float::SqrtApprox | Float::RsqrtApprox => ROOT,
        Float::Ex2 | Float::Lg2 => EXPONENT,
        Float::Sin | Float::Cos | Float::Tanh => FUNCTION,
        _ => ARITHMETIC,
    }
}
