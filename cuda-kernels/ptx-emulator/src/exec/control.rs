//! Indexed jumps, ends, and participation in barriers.

use super::env::{Env, Trouble, trouble};
use crate::error::FaultKind;
use crate::ops::Instruction;
use crate::warp::{Warp, lanes};

impl Env<'_> {
    /// `brx.idx`: lanes diverge by index; those with the same target stay together.
    pub(super) fn branch_index(
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
        // Targets split off one by one from the rest, which stays at this instruction: so the next
        // path to run is either a target or this instruction again.
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
        // `part` sends the rest to the next instruction; keep it here, to split again.
        warp.way.pc = warp.way.pc.wrapping_sub(1);
        warp.part(taken, first, meet, !kernel.collective_ahead[first as usize]);
        Ok(())
    }

    pub(super) fn copy_wait_exit(&mut self, warp: &mut Warp, active: u32) {
        if warp.live & !active == 0 && warp.copies.iter().any(|group| !group.is_empty()) {
            self.copy_wait(warp, -1);
        }
    }

    /// Are all lanes here that can still reach a barrier?
    pub(super) fn check_barrier(&self, warp: &Warp, active: u32) -> Result<(), Trouble> {
        let missing = warp.live & !active;
        if missing == 0 {
            return Ok(());
        }
        // Deferred lanes that can only end do not count: they would have ended by now.
        let mut known = active;
        for way in std::iter::once(&warp.way).chain(warp.aside.iter().rev()) {
            let here = way.mask & missing & !known;
            known |= way.mask;
            let ahead = |pc: u32| self.kernel.collective_ahead.get(pc as usize).copied();
            if here != 0 && ahead(way.pc).unwrap_or(false) {
                let lane = active.trailing_zeros() as usize;
                let detail = format!(
                    "{} of the warp's {} threads reach the barrier, the others take another path",
                    active.count_ones(),
                    warp.live.count_ones()
                );
                return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
            }
        }
        Ok(())
    }
}
