//! Runs decoded instructions: one warp, one instruction, all its lanes.

mod atomic;
mod bits;
mod carry;
mod collective;
pub mod control;
mod convert;
mod count;
mod env;
mod float;
mod fp8;
mod global;
mod integer;
mod integer16;
mod mbarrier;
pub mod memory;
mod mma;
mod offsets;
mod rows;
mod shared;
mod together;
mod watch;

pub use self::env::{Env, Problem, Step, Trouble, Unwritten, guarded, trouble};
use self::memory::Access;
use super::error::FaultKind;
use super::ops::{Address, Instruction, Op};
use super::types::{Class, Space};
use super::warp::{LANES, Warp, Way, lanes};
use super::windows::{SHARED_BASE, WINDOW, base_of};

impl Env<'_> {
    /// Runs the instruction at the warp's program counter and advances it.
    #[inline(always)]
    pub fn step(&mut self, warp: &mut Warp, i: &Instruction, active: u32) -> Result<Step, Trouble> {
        if active == 0 {
            warp.go(&self.kernel.order, warp.way.pc + 1);
            return Ok(Step::On);
        }
        match i.op {
            Op::Branch => {
                let goal = i.imm as u32;
                if active == warp.way.mask {
                    warp.go(&self.kernel.order, goal);
                } else {
                    let Way { pc, mask } = warp.way;
                    let rest = Way { pc: pc + 1, mask: mask & !active };
                    self.part(warp, [Way { pc: goal, mask: active }, rest]);
                }
                return Ok(Step::On);
            }
            Op::Exit => {
                self.copy_wait_exit(warp, active);
                let guarded = active != warp.way.mask;
                warp.exit(active);
                if guarded {
                    warp.go(&self.kernel.order, warp.way.pc + 1);
                }
                return Ok(Step::On);
            }
            Op::BranchIndex => {
                self.branch_index(warp, i, active)?;
                return Ok(Step::On);
            }
            Op::Barrier { .. } | Op::BarrierReduce { .. } => {
                self.check_barrier(warp, active)?;
                warp.go(&self.kernel.order, warp.way.pc + 1);
                return Ok(Step::Barrier);
            }
            _ if self.only_counts => self.count(warp, i, active)?,
            _ => self.compute(warp, i, active)?,
        }
        warp.go(&self.kernel.order, warp.way.pc + 1);
        Ok(Step::On)
    }

    /// Runs an instruction after which the way goes on at the next one.
    #[inline(always)]
    pub fn compute(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
    ) -> Result<(), Trouble> {
        match i.op {
            Op::Float(op, ty, mode) => warp.float(i, op, ty, mode, active),
            Op::Int(op, ty) => warp.integer(i, op, ty, active),
            Op::Logic(op, class) => warp.logic(i, op, class, active),
            Op::Int3(op, ty) => {
                let fourth = self.kernel.lists[i.ins.range()].first().copied();
                warp.integer3(i, op, ty, fourth, active);
            }
            Op::Load { space, bytes, signed, wide, address, semantics } => {
                if let (Space::Param, Address::Fixed) = (space, address)
                    && self.load_uniform(warp, i, bytes.into(), signed, wide, active)
                {
                    // All lanes got the same value.
                } else {
                    let bytes = bytes as usize;
                    self.polls += u32::from(semantics.is_strong());
                    let access = Access { space, bytes, signed, wide, address, semantics };
                    if !self.load_rows(warp, i, access, active) {
                        self.load(warp, i, access, active)?;
                    }
                }
            }
            Op::Store { space, bytes, wide, address, semantics } => {
                self.changed = true;
                let bytes = bytes as usize;
                let access = Access { space, bytes, signed: false, wide, address, semantics };
                if !self.store_rows(warp, i, access, active) {
                    self.store(warp, i, access, active)?;
                }
            }
            Op::SetP { compare, ty, combine, negated, ftz } => {
                warp.set_predicate(i, (compare, ty, ftz), (combine, negated), active);
            }
            Op::Select(class) => warp.select(i, class, active),
            Op::Convert { to, from, mode, integral, wide_to, wide_from } => {
                warp.convert(i, (to, from), mode, integral, [wide_to, wide_from], active);
            }
            _ => self.rare(warp, i, active)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn rare(&mut self, warp: &mut Warp, i: &Instruction, active: u32) -> Result<(), Trouble> {
        let kernel = self.kernel;
        match i.op {
            Op::Carry { op, ty, carry_in, carry_out } => {
                warp.with_carry(i, op, ty, [carry_in, carry_out], active);
            }
            Op::Set { compare, ty, to, combine, negated, ftz } => {
                warp.set_value(i, to, (compare, ty, ftz), (combine, negated), active);
            }
            Op::TestP(test, ty) => warp.test(i, test, ty, active),
            Op::ConvertPair { to, mode } => warp.convert_pair(i, to, mode, active),
            Op::ConvertFp8 { to, from, mode } => {
                self.convert_fp8(warp, i, (to, from), mode, active)
            }
            Op::PackSaturated { bits, signed } => warp.pack_saturated(i, bits, signed, active),
            Op::Elect => self.elect(warp, i, active)?,
            Op::Pack { bits, class } => warp.pack(i, &kernel.lists, bits, class, active),
            Op::Unpack { bits, class } => {
                warp.unpack(i, i.outs, &kernel.lists, bits, class, active)
            }
            Op::Dot { ways, signed_a, signed_b, high } => {
                warp.dot(i, ways, [signed_a, signed_b], high, active);
            }
            Op::Atomic { op, space, ty, address, semantics } => {
                self.polls += 1;
                self.atomic(warp, i, (op, ty), (space, address), semantics, active)?;
            }
            Op::CopyAsync { bytes, address } => {
                self.changed = true;
                self.copy_async(warp, i, bytes, address, active)?;
            }
            Op::CopyCommit => lanes(active).for_each(|lane| warp.groups[lane] += 1),
            Op::CopyWait => {
                self.changed |= !warp.copies.is_empty();
                self.copy_wait(warp, i.imm, active);
            }
            Op::Shuffle(shuffle) => self.shuffle(warp, i, shuffle, active)?,
            Op::Vote(vote) => self.vote(warp, i, vote, active)?,
            Op::MatchAny(class) => self.match_any(warp, i, class, active)?,
            Op::MatchAll(class) => self.match_all(warp, i, class, active)?,
            Op::Redux(reduce, ty) => self.redux(warp, i, reduce, ty, active)?,
            Op::ReduxFloat { largest, abs, nan } => {
                self.redux_float(warp, i, active, largest, (abs, nan))?;
            }
            Op::ActiveMask => warp.set_words(i.d, active, [active; LANES]),
            Op::WarpBarrier => {
                let mask = warp.words[i.a as usize];
                self.check_members(warp, active, &mask)?;
                if let Some(sanitizer) = &mut self.sanitizer {
                    sanitizer.clocks.meet_lanes(self.warp, active, warp.live, &mask);
                }
            }
            Op::Fence { wide } => {
                if let Some(sanitizer) = &mut self.sanitizer {
                    sanitizer.clocks.fence(self.warp, active, wide);
                }
            }
            Op::MBarrier(op, address) => self.mbarrier(warp, i, op, address, active)?,
            Op::MoveMatrix => self.move_matrix(warp, i, active)?,
            Op::Mma(mma) => self.matrix_product(warp, i, mma, active)?,
            Op::LoadMatrix { transposed, address } => {
                self.load_matrix(warp, i, transposed, address, active)?;
            }
            Op::StoreMatrix { transposed, address } => {
                self.changed = true;
                self.store_matrix(warp, i, transposed, address, active)?;
            }
            Op::ToGeneric(space, address) => {
                let base = base_of(space);
                match address {
                    Address::Word => warp.word1(i, active, |a| a),
                    _ => warp.long1(i, active, |a| a.wrapping_add(base)),
                }
            }
            Op::FromGeneric(space, class) => {
                let base = base_of(space);
                match class {
                    Class::Word => warp.word1(i, active, |a| a),
                    _ => warp.long1(i, active, |a| a.wrapping_sub(base)),
                }
            }
            Op::IsSpace(space) => {
                let base = base_of(space);
                let row = &warp.longs[i.a as usize];
                let mut bits = 0;
                for (lane, &at) in row.iter().enumerate() {
                    let inside = match space {
                        Space::Global | Space::Const => at < SHARED_BASE,
                        _ => at.wrapping_sub(base) < WINDOW,
                    };
                    bits |= u32::from(inside) << lane;
                }
                warp.set_pred(i.d, active, bits);
            }
            Op::Clock(Class::Word) => warp.set_words(i.d, active, [warp.steps as u32; LANES]),
            Op::Clock(_) => warp.set_longs(i.d, active, [warp.steps; LANES]),
            Op::Trap => {
                let lane = active.trailing_zeros() as usize;
                return Err(trouble(FaultKind::Trap, lane, "the kernel gave up"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A parameter at a fixed offset: read once for all lanes.
    fn load_uniform(
        &self,
        warp: &mut Warp,
        i: &Instruction,
        bytes: usize,
        signed: bool,
        wide: bool,
        active: u32,
    ) -> bool {
        let registers = &self.kernel.lists[i.outs.range()];
        let at = i.imm as usize;
        let Some(data) = self.params.get(at..at.saturating_add(bytes * registers.len())) else {
            return false;
        };
        if i.imm < 0 || !at.is_multiple_of(bytes * registers.len()) {
            return false;
        }
        for (&register, data) in registers.iter().zip(data.chunks(bytes)) {
            let value = data.iter().rev().fold(0u64, |all, &byte| all << 8 | u64::from(byte));
            let unused = 64 - 8 * bytes as u32;
            let value = if signed { ((value << unused) as i64 >> unused) as u64 } else { value };
            match wide {
                true => warp.set_longs(register, active, [value; LANES]),
                false => warp.set_words(register, active, [value as u32; LANES]),
            }
        }
        true
    }
}
