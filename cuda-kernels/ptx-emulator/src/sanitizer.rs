//! The race check and its shadow memory.
//!
//! For each unit of memory (the size of the kernel's smallest access) the shadow records the last
//! writer and the readers since. Each warp counts its barriers (its clock), and knows each other
//! warp's clock as of the last barrier that both passed. An earlier access by another thread is
//! ordered before this one if its clock is before that; otherwise, if one of the two writes, they
//! race. Lanes of one warp are ordered by its own clock, which `bar.warp.sync` advances too. Blocks
//! of a launch are never ordered. Atomics do not race with each other.

/// Units of a page of shadow memory.
const PAGE: u64 = 1024;
/// Nobody.
const NOBODY: u16 = u16::MAX;

/// A recorded access.
#[derive(Debug, Clone, Copy)]
struct Access {
    block: u32,
    pc: u32,
    clock: u32,
    /// Warp times 32 plus lane.
    who: u16,
    atomic: bool,
}

const NEVER: Access = Access { block: 0, pc: 0, clock: 0, who: NOBODY, atomic: false };

/// The last write and two readers since: of two different readers at least one is not the next
/// writer.
#[derive(Debug, Clone, Copy)]
struct Unit {
    writer: Access,
    readers: [Access; 2],
}

/// The accessing thread, and its warp's clock.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: u16,
    /// Lane of the warp.
    pub lane: u16,
    /// The instruction.
    pub pc: u32,
    /// The warp's clock.
    pub clock: u32,
}

/// The kind of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A read and write in one.
    Atomic,
    /// A volatile or releasing write.
    AtomicWrite,
    /// A volatile or acquiring read.
    AtomicRead,
}

impl Touch {
    /// Does it read?
    pub fn reads(self) -> bool {
        !matches!(self, Touch::Write | Touch::AtomicWrite)
    }

    /// Does it write?
    pub fn writes(self) -> bool {
        !matches!(self, Touch::Read | Touch::AtomicRead)
    }
}

/// Two accesses that are not ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The earlier access' block.
    pub block: u32,
    /// Its thread in the block: warp times 32 plus lane.
    pub who: u16,
    /// Its instruction.
    pub pc: u32,
    /// Did it write?
    pub wrote: bool,
}

/// Each warp's knowledge of the others' clocks.
#[derive(Debug, Default)]
pub struct Clocks {
    /// `seen[w][x]`: accesses of warp x with a smaller clock are ordered before warp w's.
    seen: Vec<Vec<u32>>,
}

impl Clocks {
    /// For `warps` warps with clocks at `now`.
    pub fn reset(&mut self, warps: usize, now: u32) {
        self.seen = vec![vec![now; warps]; warps];
    }

    /// `came` (warps and their clocks after it) passed or reached a barrier; those that waited
    /// there, `learn`, are now ordered after all the others did before.
    pub fn meet(&mut self, came: &[(usize, u32)], learn: &[usize]) {
        let mut all = vec![0; self.seen.len()];
        for &(warp, _) in came {
            all.iter_mut().zip(&self.seen[warp]).for_each(|(all, &seen)| *all = seen.max(*all));
        }
        for &(warp, clock) in came {
            all[warp] = all[warp].max(clock);
        }
        for &warp in learn {
            self.seen[warp].clone_from(&all);
        }
    }
}

/// Shadow memory of one space.
#[derive(Debug)]
pub struct Shadow {
    /// By number from `first` on, made when they are touched.
    pages: Vec<Option<Box<[Unit]>>>,
    /// The lowest address.
    first: u64,
    /// Bytes of a unit, a power of two.
    grain: u64,
    /// Do all blocks see this memory?
    across: bool,
}

impl Shadow {
    /// An empty shadow.
    pub fn new(grain: usize, across: bool, first: u64) -> Shadow {
        Shadow { pages: Vec::new(), first, grain: grain as u64, across }
    }

    /// Records an access to bytes; returns a race with an earlier one. `same` means that a write
    /// does not change the bytes: lanes may write the same value in one instruction.
    pub fn touch(
        &mut self,
        clocks: &Clocks,
        actor: Actor,
        at: u64,
        bytes: usize,
        touch: Touch,
        same: bool,
    ) -> Result<(), Conflict> {
        let at = at - self.first;
        let (first, last) = (at / self.grain, (at + bytes as u64 - 1) / self.grain);
        let mut unit = first;
        while unit <= last {
            let number = (unit / PAGE) as usize;
            if number >= self.pages.len() {
                self.pages.resize_with(number + 1, || None);
            }
            let page = self.pages[number].get_or_insert_with(|| {
                vec![Unit { writer: NEVER, readers: [NEVER; 2] }; PAGE as usize].into()
            });
            let end = (last + 1).min((unit / PAGE + 1) * PAGE);
            for unit in &mut page[(unit % PAGE) as usize..][..(end - unit) as usize] {
                note(unit, clocks, actor, (touch, same, self.across))?;
            }
            unit = end;
        }
        Ok(())
    }
}

/// Is the access ordered before the actor's, or its own?
#[inline(always)]
fn ordered(clocks: &Clocks, access: &Access, actor: &Actor, across: bool) -> bool {
    if access.who == NOBODY {
        return true;
    }
    if access.block != actor.block {
        return !across;
    }
    let (warp, lane) = (access.who / 32, access.who % 32);
    if warp == actor.warp {
        return lane == actor.lane || access.clock < actor.clock;
    }
    access.clock < clocks.seen[actor.warp as usize][warp as usize]
}

fn note(
    unit: &mut Unit,
    clocks: &Clocks,
    actor: Actor,
    (touch, same, across): (Touch, bool, bool),
) -> Result<(), Conflict> {
    let atomic = !matches!(touch, Touch::Read | Touch::Write);
    let this = Access {
        block: actor.block,
        pc: actor.pc,
        clock: actor.clock,
        who: actor.warp * 32 + actor.lane,
        atomic,
    };
    let conflict = |access: &Access, wrote| {
        Err(Conflict { block: access.block, who: access.who, pc: access.pc, wrote })
    };
    let writer = unit.writer;
    let both_atomic = writer.atomic && atomic;
    if !both_atomic && !ordered(clocks, &writer, &actor, across) {
        let together = writer.pc == this.pc && writer.block == this.block;
        let one_instruction = together && writer.who / 32 == actor.warp && touch == Touch::Write;
        if !(one_instruction && same) {
            return conflict(&writer, true);
        }
    }
    if !touch.writes() {
        // Replace a reader ordered before this one: any conflict with it is also one with this.
        for reader in &mut unit.readers {
            if ordered(clocks, reader, &actor, across) {
                *reader = this;
                return Ok(());
            }
        }
        return Ok(());
    }
    for reader in &unit.readers {
        let both_atomic = reader.atomic && atomic;
        if !both_atomic && !ordered(clocks, reader, &actor, across) {
            return conflict(reader, false);
        }
    }
    unit.writer = this;
    unit.readers = [NEVER; 2];
    Ok(())
}
