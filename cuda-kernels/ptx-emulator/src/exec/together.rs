//! Collectives that lanes come to by several ways, one in each branch, say: they wait there for each
//! other, and what they find is as if it were one instruction.

use super::control::ahead;
use super::env::{Env, Step, Trouble, guarded};
use crate::cfg::is_collective;
use crate::ops::{Instruction, NONE, Op, R, Vote};
use crate::types::Class;
use crate::warp::{FULL, Longs, Warp, Way, Words, lanes};

/// A register in its file.
type Register = (Class, R);

/// A register's row.
enum Row {
    Word(Words),
    Long(Longs),
    Pred(u32),
}

impl Warp {
    fn row(&self, (class, r): Register) -> Row {
        match class {
            Class::Word => Row::Word(self.words[r as usize]),
            Class::Long => Row::Long(self.longs[r as usize]),
            Class::Pred => Row::Pred(self.preds[r as usize]),
        }
    }

    fn set_row(&mut self, r: R, lanes: u32, row: &Row) {
        match *row {
            Row::Word(row) => self.set_words(r, lanes, row),
            Row::Long(row) => self.set_longs(r, lanes, row),
            Row::Pred(row) => self.set_pred(r, lanes, row),
        }
    }
}

impl Env<'_> {
    /// The lanes that the active ones name at a collective.
    pub(super) fn named(&self, warp: &Warp, i: &Instruction, active: u32) -> u32 {
        let register = match i.op {
            Op::Shuffle(_) => self.kernel.lists[i.ins.start as usize],
            Op::Vote(_)
            | Op::MatchAny(_)
            | Op::MatchAll(_)
            | Op::Redux(..)
            | Op::ReduxFloat { .. } => i.b,
            Op::Elect => i.b,
            Op::WarpBarrier => i.a,
            _ => return FULL,
        };
        lanes(active).fold(0, |all, lane| all | warp.words[register as usize][lane])
    }

    fn missing(&self, warp: &Warp, i: &Instruction, active: u32) -> u32 {
        if active == 0 { 0 } else { self.named(warp, i, active) & warp.live & !active }
    }

    /// Lets lanes that a collective names and that can come to it, or to one like it on their own way,
    /// do so first: true if there are any. They come no further than to where these lanes come, too.
    pub fn others_come_first(&self, warp: &mut Warp, i: &Instruction, active: u32) -> bool {
        let missing = self.missing(warp, i, active);
        if missing == 0 || !alike(i, i) {
            return false;
        }
        let kernel = self.kernel;
        let here = ahead(kernel, self.pc, false);
        let comes = |&(_, way): &(u32, Way)| {
            let its = &kernel.code[way.pc as usize];
            let its_lanes = guarded(warp, way, its);
            let waits = is_collective(its.op) && self.named(warp, its, its_lanes) & active != 0;
            way.mask & missing != 0 && !waits && {
                let own = ahead(kernel, way.pc, false).into_iter().zip(&here).zip(&kernel.code);
                let mut own = own.enumerate().filter(|(_, ((there, _), _))| *there);
                own.any(|(pc, ((_, here), its))| pc == self.pc as usize || !here && alike(i, its))
            }
        };
        let Some(aside) = warp.aside.iter().rposition(comes) else { return false };
        let (number, way) = warp.aside[aside];
        let there = ahead(kernel, way.pc, false).into_iter().zip(here);
        let common = there.zip(&kernel.order.at).filter(|&((there, here), _)| there && here);
        let numbers = common.map(|(_, &at)| at).chain(warp.aside.iter().map(|&(at, _)| at));
        let until = numbers.filter(|&at| at > number).min();
        warp.prefer(&kernel.order, aside, until);
        true
    }

    /// The ways aside that stand at collectives like this one, if with their lanes all are there that
    /// it names; none if it needs none.
    pub fn partners(&self, warp: &Warp, i: &Instruction, active: u32) -> Vec<(u32, Way)> {
        let missing = self.missing(warp, i, active);
        let fits = |&&(_, way): &&(u32, Way)| {
            let its = &self.kernel.code[way.pc as usize];
            way.mask & missing != 0 && alike(i, its) && same_barrier(warp, (i, active), (its, way))
        };
        let found: Vec<_> = warp.aside.iter().filter(fits).copied().collect();
        let there = found
            .iter()
            .fold(0, |all, &(_, way)| all | guarded(warp, way, &self.kernel.code[way.pc as usize]));
        if missing & !there == 0 { found } else { Vec::new() }
    }

    /// Runs a collective with those that stand at others like it.
    pub fn step_together(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
        partners: &[(u32, Way)],
    ) -> Result<Step, Trouble> {
        let kernel = self.kernel;
        let (ins, outs) = operands(&kernel.lists, i);
        let own = || ins.iter().chain(&outs);
        let (mut all, mut kept) = (active, Vec::new());
        for &(_, way) in partners {
            let its = &kernel.code[way.pc as usize];
            let mask = guarded(warp, way, its);
            let values: Vec<Row> =
                operands(&kernel.lists, its).0.iter().map(|&r| warp.row(r)).collect();
            kept.push((its, mask, own().map(|&r| warp.row(r)).collect::<Vec<_>>()));
            ins.iter().zip(&values).for_each(|(&(_, r), row)| warp.set_row(r, mask, row));
            all |= mask;
        }
        warp.pass(&kernel.order, partners);
        let step = self.step(warp, i, all)?;
        for (its, mask, rows) in kept {
            let results: Vec<Row> = outs.iter().map(|&r| warp.row(r)).collect();
            own().zip(&rows).for_each(|(&(_, r), row)| warp.set_row(r, mask, row));
            let its = operands(&kernel.lists, its).1;
            its.iter().zip(&results).for_each(|(&(_, r), row)| warp.set_row(r, mask, row));
        }
        Ok(step)
    }
}

/// Do lanes at one instruction and lanes at the other wait for each other?
fn alike(one: &Instruction, other: &Instruction) -> bool {
    match (one.op, other.op) {
        (Op::Shuffle(one), Op::Shuffle(other)) => one == other,
        (Op::Vote(vote), Op::Vote(its)) => vote == its && one.imm == other.imm,
        (Op::MatchAny(one), Op::MatchAny(other)) | (Op::MatchAll(one), Op::MatchAll(other)) => {
            one == other
        }
        (Op::Redux(one, ty), Op::Redux(other, its)) => (one, ty) == (other, its),
        (
            Op::ReduxFloat { largest, abs, nan },
            Op::ReduxFloat { largest: its, abs: its_abs, nan: its_nan },
        ) => (largest, abs, nan) == (its, its_abs, its_nan),
        (Op::Elect, Op::Elect) | (Op::WarpBarrier, Op::WarpBarrier) => true,
        (Op::Barrier { aligned: false, arrive }, Op::Barrier { aligned: false, arrive: its }) => {
            arrive == its
        }
        _ => false,
    }
}

/// Have two barriers of the block one number, and wait for as many threads?
fn same_barrier(
    warp: &Warp,
    (i, active): (&Instruction, u32),
    (its, way): (&Instruction, Way),
) -> bool {
    let value = |r: R, mask: u32| {
        (r != NONE).then(|| warp.words[r as usize][mask.trailing_zeros() as usize % 32])
    };
    !matches!(i.op, Op::Barrier { .. })
        || [(i.a, its.a), (i.b, its.b)]
            .iter()
            .all(|&(r, its)| value(r, active) == value(its, way.mask))
}

/// The registers that a collective of lanes reads and writes.
fn operands(lists: &[R], i: &Instruction) -> (Vec<Register>, Vec<Register>) {
    use Class::{Pred, Word};
    match i.op {
        Op::Shuffle(_) => {
            let mask = lists[i.ins.start as usize];
            ([i.a, i.b, i.c, mask].map(|r| (Word, r)).into(), vec![(Word, i.d), (Pred, i.e)])
        }
        Op::Vote(vote) => {
            let class = if vote == Vote::Ballot { Word } else { Pred };
            (vec![(Pred, i.a), (Word, i.b)], vec![(class, i.d)])
        }
        Op::MatchAny(class) => (vec![(class, i.a), (Word, i.b)], vec![(Word, i.d)]),
        Op::MatchAll(class) => (vec![(class, i.a), (Word, i.b)], vec![(Word, i.d), (Pred, i.e)]),
        Op::Redux(..) | Op::ReduxFloat { .. } => {
            (vec![(Word, i.a), (Word, i.b)], vec![(Word, i.d)])
        }
        Op::Elect => (vec![(Word, i.b)], vec![(Word, i.d), (Pred, i.e)]),
        Op::WarpBarrier => (vec![(Word, i.a)], Vec::new()),
        _ => (Vec::new(), Vec::new()),
    }
}
