//! Runs decoded instructions: one warp, one instruction, all its lanes.

mod collective;
mod convert;
mod float;
mod integer;
pub mod memory;
mod mma;

use super::decode::{LOCAL_BASE, PARAM_BASE, SHARED_BASE, WINDOW};
use super::error::FaultKind;
use super::memory::Memory;
use super::ops::{Address, Instruction, Kernel, NONE, Op};
use super::profiler::Profile;
use super::sanitizer::{Actor, Clocks, Shadow, Touch};
use super::types::{Class, Space};
use super::warp::{FULL, LANES, Longs, Warp, lanes};
use memory::Access;

/// What went wrong, before the launch adds where.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: FaultKind,
    /// Which lane.
    pub lane: usize,
    /// In words.
    pub detail: String,
}

/// A problem, boxed: the good case should cost nothing.
pub type Trouble = Box<Problem>;

/// Makes a problem.
pub fn trouble(kind: FaultKind, lane: usize, detail: impl Into<String>) -> Trouble {
    Box::new(Problem { kind, lane, detail: detail.into() })
}

/// The sanitizer's state.
#[derive(Debug)]
pub struct Sanitizer {
    /// Shadow of shared memory.
    pub shared: Shadow,
    /// Shadow of global memory.
    pub global: Shadow,
    /// What warps know of each other.
    pub clocks: Clocks,
    /// Which bytes of shared memory this block wrote.
    pub written: Vec<bool>,
}

/// All that a warp works on but its own registers.
pub struct Env<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
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
    /// The allocation that was used last.
    pub hint: usize,
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: u16,
    /// The instruction that runs.
    pub pc: u32,
    /// Does memory watch what was written?
    pub watched: bool,
}

/// What the warp does after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Goes on.
    On,
    /// Has come to a barrier of the block (the instruction says which).
    Barrier,
}

impl Env<'_> {
    /// Must accesses to global memory be told?
    #[inline(always)]
    fn watches(&self) -> bool {
        self.sanitizer.is_some() || self.profile.is_some() || self.watched
    }

    /// Must accesses to shared memory be told?
    #[inline(always)]
    fn watches_shared(&self) -> bool {
        self.sanitizer.is_some() || self.profile.is_some()
    }

    fn profile_global(&mut self, at: &Longs, active: u32, bytes: u64) {
        if let Some(profile) = &mut self.profile {
            profile.global(self.pc as usize, at, active, bytes as usize);
        }
    }

    fn profile_shared(&mut self, at: &Longs, active: u32, bytes: usize) {
        if let Some(profile) = &mut self.profile {
            profile.shared(self.pc as usize, at, active, bytes);
        }
    }

    fn actor(&self, warp: &Warp, lane: usize) -> Actor {
        Actor {
            block: self.block,
            warp: self.warp,
            lane: lane as u16,
            pc: self.pc,
            clock: warp.clock,
        }
    }

    /// Tells the sanitizer of a warp's access to global memory.
    fn watch_global(
        &mut self,
        warp: &Warp,
        at: &Longs,
        places: &[(usize, u64); LANES],
        active: u32,
        bytes: u64,
        touch: Touch,
    ) -> Result<(), Trouble> {
        for lane in lanes(active) {
            self.watch_lane(warp, at[lane], places[lane], lane, bytes, touch, false)?;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn watch_lane(
        &mut self,
        warp: &Warp,
        at: u64,
        (index, offset): (usize, u64),
        lane: usize,
        bytes: u64,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let actor = self.actor(warp, lane);
        if let Some(allocation) = self.memory.allocation(index)
            && allocation.is_watched()
        {
            let checks = touch.reads() && self.sanitizer.is_some();
            if checks && !allocation.is_written(offset, bytes as usize) {
                let detail = format!(
                    "{bytes} bytes at {at:#x} of global memory, byte {offset} of an allocation of \
                     {} bytes, were never written",
                    allocation.bytes
                );
                return Err(trouble(FaultKind::UninitialisedGlobal, lane, detail));
            }
            if touch.writes() {
                allocation.mark(offset, bytes as usize);
            }
        }
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let Sanitizer { global, clocks, .. } = &mut **sanitizer;
        global.touch(clocks, actor, at, bytes as usize, touch, same).map_err(|conflict| {
            let kind = match conflict.block == actor.block {
                true => FaultKind::Race,
                false => FaultKind::RaceBetweenBlocks,
            };
            self.race(kind, "global", at, bytes, touch, lane, conflict)
        })
    }

    /// Tells the sanitizer of a thread's access to shared memory that takes effect now.
    fn watch_shared(
        &mut self,
        warp: &Warp,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let range = at as usize..at as usize + bytes;
        if touch.reads() && !sanitizer.written[range.clone()].iter().all(|&written| written) {
            let detail = format!(
                "{bytes} bytes at byte {at} were not written by this block, or not yet: a barrier may be missing"
            );
            return Err(trouble(FaultKind::UninitialisedShared, lane, detail));
        }
        if touch.writes() {
            sanitizer.written[range].fill(true);
        }
        self.touch_shared(warp, at, lane, bytes, touch, same)
    }

    /// The race check alone.
    fn touch_shared(
        &mut self,
        warp: &Warp,
        at: u64,
        lane: usize,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Trouble> {
        let actor = self.actor(warp, lane);
        let Some(sanitizer) = &mut self.sanitizer else { return Ok(()) };
        let Sanitizer { shared, clocks, .. } = &mut **sanitizer;
        shared.touch(clocks, actor, at, bytes, touch, same).map_err(|conflict| {
            self.race(FaultKind::Race, "shared", at, bytes as u64, touch, lane, conflict)
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn race(
        &self,
        kind: FaultKind,
        space: &str,
        at: u64,
        bytes: u64,
        touch: Touch,
        lane: usize,
        conflict: super::sanitizer::Conflict,
    ) -> Trouble {
        let verb = match touch {
            Touch::Read | Touch::AtomicRead => "reads",
            Touch::Write | Touch::AtomicWrite => "writes",
            Touch::Atomic => "changes",
        };
        let other = if conflict.wrote { "wrote" } else { "read" };
        let place = self.kernel.places[conflict.pc as usize];
        let whose = match kind {
            FaultKind::RaceBetweenBlocks => format!("block {} (in order), ", conflict.block),
            _ => String::new(),
        };
        let source = match place.source_line {
            0 => String::new(),
            line => format!(" (source line {line})"),
        };
        let detail = format!(
            "{verb} {bytes} bytes at {at:#x} of {space} memory that {whose}thread {} {other} at \
             line {}{source} with no barrier between",
            conflict.who, place.line
        );
        trouble(kind, lane, detail)
    }

    /// Runs the instruction at the warp's program counter and moves that on.
    #[inline(always)]
    pub fn step(&mut self, warp: &mut Warp, i: &Instruction, active: u32) -> Result<Step, Trouble> {
        if active == 0 {
            warp.way.pc += 1;
            warp.meet_again();
            return Ok(Step::On);
        }
        match i.op {
            Op::Float(op, ty, mode) => warp.float(i, op, ty, mode, active),
            Op::Int(op, ty) => warp.integer(i, op, ty, active),
            Op::Logic(op, class) => warp.logic(i, op, class, active),
            Op::Int3(op, ty) => {
                let fourth = self.kernel.lists[i.ins.range()].first().copied();
                warp.integer3(i, op, ty, fourth, active);
            }
            Op::Load { space, bytes, signed, wide, address, weak } => {
                if let (Space::Param, Address::Fixed) = (space, address)
                    && self.load_uniform(warp, i, bytes.into(), signed, wide, active)
                {
                    // All lanes got the same value.
                } else {
                    let bytes = bytes as usize;
                    let access = Access { space, bytes, signed, wide, address, weak };
                    self.load(warp, i, access, active)?;
                }
            }
            Op::Store { space, bytes, wide, address, weak } => {
                let bytes = bytes as usize;
                let access = Access { space, bytes, signed: false, wide, address, weak };
                self.store(warp, i, access, active)?;
            }
            Op::Branch => {
                let goal = i.imm as u32;
                if active == warp.way.mask {
                    warp.way.pc = goal;
                    warp.meet_again();
                } else {
                    if let Some(profile) = &mut self.profile {
                        profile.counts[self.pc as usize].divergent += 1;
                    }
                    let kernel = self.kernel;
                    let meet = kernel.meets[self.pc as usize];
                    // Lanes that go to the end without meeting others there go first: the rest
                    // then is the whole warp, as barriers want it.
                    let goal_first = !kernel.collective_ahead[goal as usize];
                    warp.part(active, goal, meet, goal_first);
                }
                return Ok(Step::On);
            }
            Op::SetP { compare, ty, combine, negated, ftz } => {
                warp.set_predicate(i, (compare, ty, ftz), (combine, negated), active);
            }
            Op::Select(class) => warp.select(i, class, active),
            Op::Convert { to, from, mode, integral, wide_to, wide_from } => {
                warp.convert(i, (to, from), mode, integral, [wide_to, wide_from], active);
            }
            Op::Exit => {
                if self.kernel.code.len() as u32 > warp.way.pc {
                    warp.way.pc += 1;
                }
                self.copy_wait_exit(warp, active);
                warp.exit(active);
                if warp.way.mask != 0 {
                    warp.meet_again();
                }
                return Ok(Step::On);
            }
            Op::Barrier { .. } | Op::BarrierReduce { .. } => {
                self.check_barrier(warp, active)?;
                warp.way.pc += 1;
                warp.meet_again();
                return Ok(Step::Barrier);
            }
            _ => self.rare(warp, i, active)?,
        }
        if let Op::BranchIndex = i.op {
            return Ok(Step::On);
        }
        warp.way.pc += 1;
        warp.meet_again();
        Ok(Step::On)
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
            Op::Pack { bits, class } => warp.pack(i, &kernel.lists, bits, class, active),
            Op::Unpack { bits, class } => {
                warp.unpack(i, i.outs, &kernel.lists, bits, class, active)
            }
            Op::Dot { ways, signed_a, signed_b, high } => {
                warp.dot(i, ways, [signed_a, signed_b], high, active);
            }
            Op::Atomic { op, space, ty, address } => {
                self.atomic(warp, i, (op, ty), (space, address), active)?;
            }
            Op::CopyAsync { bytes, address } => self.copy_async(warp, i, bytes, address, active)?,
            Op::CopyCommit => warp.copies.push_back(Vec::new()),
            Op::CopyWait => self.copy_wait(warp, i.imm),
            Op::Shuffle(shuffle) => self.shuffle(warp, i, shuffle, active)?,
            Op::Vote(vote) => self.vote(warp, i, vote, active)?,
            Op::MatchAny(class) => self.match_any(warp, i, class, active)?,
            Op::MatchAll(class) => self.match_all(warp, i, class, active)?,
            Op::Redux(reduce, ty) => self.redux(warp, i, reduce, ty, active)?,
            Op::ActiveMask => warp.set_words(i.d, active, [active; LANES]),
            Op::WarpBarrier => {
                let mask = warp.words[i.a as usize];
                self.check_members(warp, active, &mask)?;
                warp.clock += 1;
            }
            Op::Mma(mma) => self.matrix_product(warp, i, mma, active)?,
            Op::LoadMatrix { transposed, address } => {
                self.load_matrix(warp, i, transposed, address, active)?;
            }
            Op::StoreMatrix { transposed, address } => {
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
            Op::BranchIndex => self.branch_index(warp, i, active)?,
            Op::Trap => {
                let lane = active.trailing_zeros() as usize;
                return Err(trouble(FaultKind::Trap, lane, "the kernel gave up"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A parameter at a fixed place: read once for all lanes.
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

    /// `brx.idx`: lanes part by their index; those with the same goal go together.
    fn branch_index(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
    ) -> Result<(), Trouble> {
        let kernel = self.kernel;
        let table = &kernel.tables[i.imm as usize];
        let index = warp.words[i.a as usize];
        for lane in lanes(active) {
            if index[lane] as usize >= table.len() {
                let detail = format!("label {} of {}", index[lane], table.len());
                return Err(trouble(FaultKind::OutOfBounds, lane, detail));
            }
        }
        let meet = kernel.meets[self.pc as usize];
        let goal_of = |lane: usize| table[index[lane] as usize];
        // One goal after the other parts from the rest, which stays at this instruction: so the
        // way that runs afterwards is either a goal or this instruction again.
        let first = goal_of(active.trailing_zeros() as usize);
        let taken =
            lanes(active).filter(|&lane| goal_of(lane) == first).fold(0, |m, lane| m | 1 << lane);
        if taken == warp.way.mask {
            warp.way.pc = first;
            warp.meet_again();
            return Ok(());
        }
        if let Some(profile) = &mut self.profile {
            profile.counts[self.pc as usize].divergent += 1;
        }
        // `part` sends the rest to the next instruction; it belongs here, to part again.
        warp.way.pc = warp.way.pc.wrapping_sub(1);
        warp.part(taken, first, meet, !kernel.collective_ahead[first as usize]);
        Ok(())
    }

    fn copy_wait_exit(&mut self, warp: &mut Warp, active: u32) {
        if warp.live & !active == 0 && warp.copies.iter().any(|group| !group.is_empty()) {
            self.copy_wait(warp, -1);
        }
    }

    /// Are all lanes here that can still come to a barrier?
    fn check_barrier(&self, warp: &Warp, active: u32) -> Result<(), Trouble> {
        let missing = warp.live & !active;
        if missing == 0 {
            return Ok(());
        }
        // Lanes put aside that can only end do not count: they would have ended by now.
        let mut known = active;
        for way in std::iter::once(&warp.way).chain(warp.aside.iter().rev()) {
            let here = way.mask & missing & !known;
            known |= way.mask;
            let ahead = |pc: u32| self.kernel.collective_ahead.get(pc as usize).copied();
            if here != 0 && ahead(way.pc).unwrap_or(false) {
                let lane = active.trailing_zeros() as usize;
                let detail = format!(
                    "{} of the warp's {} threads come to the barrier, the others go another way",
                    active.count_ones(),
                    warp.live.count_ones()
                );
                return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
            }
        }
        Ok(())
    }
}

fn base_of(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED_BASE,
        Space::Local => LOCAL_BASE,
        Space::Param => PARAM_BASE,
        _ => 0,
    }
}

/// Lanes of a way that an instruction's guard lets take part.
#[inline(always)]
pub fn guarded(warp: &Warp, i: &Instruction) -> u32 {
    if i.guard == NONE {
        return warp.way.mask;
    }
    let bits = warp.preds[i.guard as usize] ^ if i.negated { FULL } else { 0 };
    warp.way.mask & bits
}
