//! Indexed jumps, ends, and participation in barriers.

use super::env::{Env, Trouble, trouble};
use crate::error::FaultKind;
use crate::ops::{Instruction, Kernel, NONE, Op};
use crate::warp::{Warp, Way, lanes};

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
        let mut ways = vec![Way { pc: warp.way.pc + 1, mask: warp.way.mask & !active }];
        for lane in lanes(active) {
            let pc = table[index[lane] as usize];
            match ways[1..].iter_mut().find(|way| way.pc == pc) {
                Some(way) => way.mask |= 1 << lane,
                None => ways.push(Way { pc, mask: 1 << lane }),
            }
        }
        if let [Way { mask: 0, .. }, Way { pc, .. }] = ways[..] {
            warp.go(&kernel.order, pc);
        } else {
            self.part(warp, ways);
        }
        Ok(())
    }

    /// Lanes of the way go on at different places.
    pub(super) fn part(&mut self, warp: &mut Warp, ways: impl IntoIterator<Item = Way>) {
        if let Some(profile) = &mut self.profile {
            profile.counts[self.pc as usize].divergent += 1;
        }
        warp.part(&self.kernel.order, ways);
    }

    pub(super) fn copy_wait_exit(&mut self, warp: &mut Warp, active: u32) {
        if !warp.copies.is_empty() {
            self.copy_wait(warp, -1, active);
        }
    }

    /// A collective waits for the lanes that it names until they come or end: lets those that can
    /// only end do so first. `i` is a collective. The sanitizer leaves out those that would meet these lanes again: they
    /// have not returned but passed it by, which is a mistake.
    pub fn others_end_first(&self, warp: &mut Warp, i: &Instruction, active: u32) -> bool {
        if active == 0 {
            return false;
        }
        let kernel = self.kernel;
        let named = self.named(warp, i, active);
        let barrier = matches!(i.op, Op::Barrier { .. } | Op::BarrierReduce { .. });
        let ends = |&(_, way): &(u32, Way)| {
            way.mask & named != 0
                && !kernel.collective_ahead[way.pc as usize]
                && (self.sanitizer.is_none() || !meet(kernel, self.pc, way.pc, barrier))
        };
        let Some(aside) = warp.aside.iter().position(ends) else { return false };
        warp.prefer(&kernel.order, aside, None);
        true
    }

    /// Are all lanes here that can still come to a barrier?
    pub(super) fn check_barrier(&self, warp: &Warp, active: u32) -> Result<(), Trouble> {
        let missing = warp.live & !active;
        if missing == 0 {
            return Ok(());
        }
        let lane = active.trailing_zeros() as usize;
        let detail = format!(
            "{} of the warp's {} threads come to the barrier, the others go another way",
            active.count_ones(),
            warp.live.count_ones()
        );
        Err(trouble(FaultKind::BarrierDivergence, lane, detail))
    }
}

/// Do the ways from two instructions come together again, before their end and (unless `again`) inside
/// one turn of every loop?
fn meet(kernel: &Kernel, one: u32, other: u32, again: bool) -> bool {
    let both = ahead(kernel, one, again).into_iter().zip(ahead(kernel, other, again));
    both.zip(&kernel.code).any(|((a, b), i)| a && b && !matches!(i.op, Op::Exit))
}

/// Has a thread that ended after the instruction `last` passed a barrier by, and not ended before it?
/// So it has if others come there from the barrier, and nobody from there to the barrier; or, in a loop
/// around both, if others come there in the same turn and it never `came` to the barrier.
pub fn passed_by(kernel: &Kernel, barrier: u32, last: u32, came: bool) -> bool {
    let returns = ahead(kernel, last, true)[barrier as usize];
    !(returns && came) && ahead(kernel, barrier, !returns)[last as usize]
}

/// The instructions that can follow one; without `again`, inside one turn of every loop.
pub(super) fn ahead(kernel: &Kernel, from: u32, again: bool) -> Vec<bool> {
    let mut seen = vec![false; kernel.code.len()];
    let mut work = vec![from];
    while let Some(pc) = work.pop() {
        if std::mem::replace(&mut seen[pc as usize], true) {
            continue;
        }
        let i = &kernel.code[pc as usize];
        let goals = match i.op {
            Op::Branch => vec![i.imm as u32],
            Op::BranchIndex => kernel.tables[i.imm as usize].clone(),
            _ => Vec::new(),
        };
        let stops = matches!(i.op, Op::Branch | Op::BranchIndex | Op::Exit | Op::Trap);
        let on = (!stops || i.guard != NONE).then_some(pc + 1);
        work.extend(
            goals.into_iter().chain(on).filter(|&goal| again || kernel.order.forward(pc, goal)),
        );
    }
    seen
}
