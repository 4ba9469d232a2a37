//! Shadow memory: for each unit of memory, the accesses that a later one could still conflict with.

use std::collections::HashMap;

use super::access::{Access, Actor, Conflict, Kind, Touch};
use super::clocks::{Clocks, Release};

/// Units of a page.
const PAGE: u64 = 1024;
/// Readers of one unit in other blocks that are remembered, each of another block.
const OTHER_BLOCKS: usize = 4;

/// The accesses to a unit: mostly one write and one read.
#[derive(Debug, Clone)]
struct Unit {
    few: [Access; 2],
    more: Vec<Access>,
}

/// Shadow memory of one space.
#[derive(Debug)]
pub struct Shadow {
    /// By number from `first` on, made when they are touched.
    pages: Vec<Option<Box<[Unit]>>>,
    /// The lowest address.
    first: u64,
    /// The logarithm of a unit's bytes to base 2.
    shift: u32,
    /// What was released at addresses.
    pub(super) released: HashMap<u64, Release>,
}

impl Shadow {
    /// An empty shadow of memory from the address `first` on.
    pub fn new(grain: usize, first: u64) -> Shadow {
        Shadow { pages: Vec::new(), first, shift: grain.ilog2(), released: HashMap::new() }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pages.clear();
        self.released.clear();
    }

    /// Records an access to bytes. An error: an earlier one conflicts with it.
    pub(super) fn touch(
        &mut self,
        clocks: &Clocks,
        actor: &Actor,
        at: u64,
        bytes: usize,
        touch: Touch,
    ) -> Result<(), Conflict> {
        let this = Access {
            block: actor.block,
            pc: actor.pc,
            time: clocks.now(actor.warp),
            lanes: 1 << actor.lane,
            warp: actor.warp,
            kind: touch.kind,
            writes: touch.writes,
        };
        self.each(at, bytes, |unit| unit.note(clocks, actor, this, touch.same))
    }

    /// A copy of a block's thread, `(warp, lane)`, has ended: its accesses to the bytes are now that
    /// thread's own, at this time.
    pub fn land(&mut self, block: u32, (warp, lane): (u16, u8), time: u32, at: u64, bytes: usize) {
        let mine = |access: &Access| {
            access.kind == Kind::Copy
                && (access.block, access.warp) == (block, warp)
                && access.lanes >> lane & 1 == 1
        };
        let land = |unit: &mut Unit| -> Result<(), ()> {
            for access in unit.few.iter_mut().chain(&mut unit.more).filter(|access| mine(access)) {
                access.kind = Kind::Weak;
                access.time = time;
            }
            Ok(())
        };
        let Ok(()) = self.each(at, bytes, land) else { return };
    }

    fn each<E>(
        &mut self,
        at: u64,
        bytes: usize,
        mut act: impl FnMut(&mut Unit) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = at - self.first;
        let (mut unit, last) = (at >> self.shift, (at + bytes as u64 - 1) >> self.shift);
        while unit <= last {
            let number = (unit / PAGE) as usize;
            if number >= self.pages.len() {
                self.pages.resize_with(number + 1, || None);
            }
            let page = self.pages[number].get_or_insert_with(|| {
                vec![Unit { few: [Access::NONE; 2], more: Vec::new() }; PAGE as usize].into()
            });
            let end = (last + 1).min((unit / PAGE + 1) * PAGE);
            for unit in &mut page[(unit % PAGE) as usize..][..(end - unit) as usize] {
                act(unit)?;
            }
            unit = end;
        }
        Ok(())
    }
}

impl Unit {
    fn note(
        &mut self,
        clocks: &Clocks,
        actor: &Actor,
        this: Access,
        same: bool,
    ) -> Result<(), Conflict> {
        let mut place = None;
        for (at, known) in self.few.iter_mut().chain(&mut self.more).enumerate() {
            if known.lanes == 0 {
                place.get_or_insert(at);
                continue;
            }
            // Another lane of the warp has just read the same: nothing can be between the two.
            if known.joins(&this)
                && this.kind == Kind::Weak
                && !this.writes
                && known.lanes & !this.lanes != 0
                && clocks.know_whole_warps(this.warp)
            {
                known.lanes |= this.lanes;
                return Ok(());
            }
            let ordered = known.kind != Kind::Copy && clocks.ordered(known, actor);
            if known.excludes(&this) || !ordered && known.conflicts(&this, same) {
                return Err(Conflict {
                    block: known.block,
                    thread: u32::from(known.warp) * 32 + known.lanes.trailing_zeros(),
                    pc: known.pc,
                    wrote: known.writes,
                    kind: known.kind,
                });
            }
            if this.covers(known) {
                if (known.block, known.warp) == (this.block, this.warp) {
                    known.lanes &= !this.lanes;
                }
                if ordered {
                    known.lanes = 0;
                }
            }
            if known.lanes == 0 {
                place.get_or_insert(at);
            } else if known.joins(&this) {
                known.lanes |= this.lanes;
                return Ok(());
            }
        }
        match place {
            Some(at) if at < 2 => self.few[at] = this,
            Some(at) => self.more[at - 2] = this,
            None => {
                self.more.push(this);
                self.forget(this.block);
            }
        }
        Ok(())
    }

    /// Keeps few readers of other blocks than this.
    fn forget(&mut self, block: u32) {
        let (mut kept, mut count) = ([block; OTHER_BLOCKS], 0);
        self.more.retain(|access| {
            if access.lanes == 0 {
                return false;
            }
            let copies = matches!(access.kind, Kind::Copy | Kind::ReadOnly);
            if access.block == block || access.writes || copies {
                return true;
            }
            let new = count < OTHER_BLOCKS && !kept.contains(&access.block);
            if new {
                kept[count] = access.block;
                count += 1;
            }
            new
        });
    }
}
