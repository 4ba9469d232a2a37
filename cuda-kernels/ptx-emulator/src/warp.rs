//! A warp: 32 threads (lanes) that run one instruction at a time together.
//!
//! Each register is a row of 32 values, one per lane, and each instruction a loop over the row.
//! The lanes that take part are the bits of a mask. At a jump that only some lanes take, the
//! warp parts into ways. The one that comes first in the kernel's order (see [`super::cfg`]) runs
//! until it has come to where another waits; there they go on together.

use std::hash::{Hash, Hasher};

use isa::Isa;

use super::ops::{Instruction, Order, R};
use super::registers::Registers;
pub use super::registers::{LANES, Longs, Words};

/// The mask of all lanes.
pub const FULL: u32 = u32::MAX;
/// Behind every number of an order.
const NEVER: u32 = u32::MAX;

/// Lanes on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Way {
    /// Their next instruction.
    pub pc: u32,
    /// Which lanes.
    pub mask: u32,
}

/// Status of a warp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It can run.
    Ready,
    /// It waits at a barrier of the block.
    Waiting,
    /// All its lanes have ended.
    Done,
}

/// A pending copy from global to shared memory.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    /// Offset in shared memory.
    pub to: u32,
    /// Address in global memory.
    pub from: u64,
    /// The data, up to 16 bytes.
    pub data: [u8; 16],
    /// How many bytes.
    pub bytes: u8,
    /// How many of them are read; the others are zeros.
    pub read: u8,
    /// The lane.
    pub lane: u8,
    /// The number of its group among the lane's.
    pub group: u32,
}

/// A warp's state.
#[derive(Debug)]
pub struct Warp {
    /// With what its loops over lanes run.
    pub isa: Isa,
    /// 32-bit registers.
    pub words: Registers<u32>,
    /// 64-bit registers.
    pub longs: Registers<u64>,
    /// Predicates, a bit per lane.
    pub preds: Vec<u32>,
    /// The carry flag, a bit per lane.
    pub carry: u32,
    /// The current path.
    pub way: Way,
    /// Ways that wait, with their numbers in the order, the next to run last.
    pub aside: Vec<(u32, Way)>,
    /// The number at which the way that runs has come to those that wait.
    until: u32,
    /// The instruction that ran last, ends aside.
    pub last: Option<u32>,
    /// Lanes that have not ended.
    pub live: u32,
    /// Lanes that exist: the last warp of a block may have fewer than 32 threads.
    pub threads: u32,
    /// Its status.
    pub state: State,
    /// Instructions that it ran.
    pub steps: u64,
    /// Does it seem to wait for others in a loop?
    pub spins: bool,
    /// Does a way run that is not the first in the order?
    out_of_order: bool,
    /// Ways that have run out of order.
    turns: usize,
    /// Local memory, lane after lane.
    pub local: Vec<u8>,
    /// Which bytes of it were written; empty without the sanitizer.
    pub local_written: Vec<bool>,
    /// Asynchronous copies that were not waited for, oldest first.
    pub copies: Vec<Copy>,
    /// Each lane's groups of copies so far: the number of the one that is open.
    pub groups: Words,
}

impl Warp {
    /// A warp with these numbers of registers; `watched`: does local memory track writes?
    pub fn new(isa: Isa, slots: [usize; 3], local_bytes: usize, watched: bool) -> Warp {
        Warp {
            isa,
            words: Registers::new(slots[0]),
            longs: Registers::new(slots[1]),
            preds: vec![0; slots[2]],
            carry: 0,
            way: Way { pc: 0, mask: 0 },
            aside: Vec::new(),
            until: NEVER,
            last: None,
            live: 0,
            threads: 0,
            state: State::Done,
            steps: 0,
            spins: false,
            out_of_order: false,
            turns: 0,
            local: vec![0; local_bytes * LANES],
            local_written: vec![false; if watched { local_bytes * LANES } else { 0 }],
            copies: Vec::new(),
            groups: [0; LANES],
        }
    }

    /// Resets all lanes to the first instruction, registers zero.
    pub fn reset(&mut self, threads: u32) {
        self.words.clear();
        self.longs.clear();
        self.preds.fill(0);
        self.carry = 0;
        self.way = Way { pc: 0, mask: threads };
        self.aside.clear();
        self.until = NEVER;
        self.last = None;
        self.live = threads;
        self.threads = threads;
        self.state = State::Ready;
        self.steps = 0;
        self.spins = false;
        self.out_of_order = false;
        self.turns = 0;
        self.local.fill(0);
        self.local_written.fill(false);
        self.copies.clear();
        self.groups = [0; LANES];
    }

    /// Hashes all on which it depends what the warp does next, memory that others see aside.
    pub fn hash_state(&self, state: &mut impl Hasher) {
        (&self.words, &self.longs, &self.preds, self.carry).hash(state);
        (self.state, self.way, &self.aside, self.until, self.out_of_order).hash(state);
        (self.turns % self.aside.len().max(1), &self.local, &self.groups).hash(state);
    }

    /// The way goes on at `pc`, or waits there for others that are to run first.
    #[inline(always)]
    pub fn go(&mut self, order: &Order, pc: u32) {
        let from = std::mem::replace(&mut self.way.pc, pc);
        if self.until != NEVER && order.between(from, pc) >= self.until {
            self.wait(order.between(from, pc), self.way);
            self.next_way();
        }
    }

    /// The way parts: lanes of each mask go on at the `pc` beside it.
    pub fn part(&mut self, order: &Order, ways: impl IntoIterator<Item = Way>) {
        let from = self.way.pc;
        for way in ways {
            self.wait(order.between(from, way.pc), way);
        }
        self.next_way();
    }

    /// Puts a way aside under its number. Lanes of the same number stand at the same place: they
    /// are one way from now on.
    fn wait(&mut self, number: u32, way: Way) {
        if way.mask == 0 {
            return;
        }
        let at = self.aside.partition_point(|&(other, _)| other > number);
        match self.aside.get_mut(at) {
            Some((other, waiting)) if *other == number => waiting.mask |= way.mask,
            _ => self.aside.insert(at, (number, way)),
        }
    }

    /// Runs the way that comes first in the order.
    fn next_way(&mut self) {
        self.out_of_order = false;
        match self.aside.pop() {
            Some((_, way)) => self.way = way,
            None => {
                self.way.mask = 0;
                self.state = State::Done;
            }
        }
        self.until = self.aside.last().map_or(NEVER, |&(number, _)| number);
    }

    /// Runs a way that waits, whatever the order says, until it parts or ends or comes to this number.
    pub fn prefer(&mut self, order: &Order, aside: usize, until: Option<u32>) {
        let (_, way) = self.aside.remove(aside);
        let waiting = std::mem::replace(&mut self.way, way);
        self.wait(order.at[waiting.pc as usize], waiting);
        self.until = until.unwrap_or(NEVER);
    }

    /// Ways aside have run the instruction that they stood at, and wait at the next one.
    pub fn pass(&mut self, order: &Order, ways: &[(u32, Way)]) {
        self.aside.retain(|waiting| !ways.contains(waiting));
        for &(_, Way { pc, mask }) in ways {
            self.wait(order.between(pc, pc + 1), Way { pc: pc + 1, mask });
        }
        self.until = self.aside.last().map_or(NEVER, |&(number, _)| number);
    }

    /// The way that runs waits for another one in a loop: lets the next one run, each in turn.
    pub fn yield_to_another(&mut self, order: &Order) {
        if !self.aside.is_empty() {
            self.turns += 1;
            self.prefer(order, self.turns % self.aside.len(), None);
            self.out_of_order = true;
        }
    }

    /// A way that runs out of order comes to where it needs the others: true if it did.
    pub fn back_in_order(&mut self, order: &Order) -> bool {
        if self.out_of_order && !self.aside.is_empty() {
            self.wait(order.at[self.way.pc as usize], self.way);
            self.next_way();
            return true;
        }
        false
    }

    /// These lanes, of the way that runs, are done.
    pub fn exit(&mut self, lanes: u32) {
        self.live &= !lanes;
        self.way.mask &= self.live;
        if self.way.mask == 0 {
            self.next_way();
        }
    }

    /// Writes a row, in the active lanes only.
    #[inline(always)]
    pub fn set_words(&mut self, d: R, active: u32, row: Words) {
        let old = &mut self.words[d as usize];
        if active == FULL {
            *old = row;
            return;
        }
        for (lane, (old, new)) in old.iter_mut().zip(row).enumerate() {
            let keep = ((active >> lane) & 1).wrapping_sub(1);
            *old = (*old & keep) | (new & !keep);
        }
    }

    /// Writes a row, in the active lanes only.
    #[inline(always)]
    pub fn set_longs(&mut self, d: R, active: u32, row: Longs) {
        let old = &mut self.longs[d as usize];
        if active == FULL {
            *old = row;
            return;
        }
        for (lane, (old, new)) in old.iter_mut().zip(row).enumerate() {
            let keep = u64::from((active >> lane) & 1).wrapping_sub(1);
            *old = (*old & keep) | (new & !keep);
        }
    }

    /// Writes a predicate, in the active lanes only.
    #[inline(always)]
    pub fn set_pred(&mut self, d: R, active: u32, bits: u32) {
        let old = &mut self.preds[d as usize];
        *old = (*old & !active) | (bits & active);
    }

    /// `d = f(a)`.
    #[inline(always)]
    pub fn word1(&mut self, i: &Instruction, active: u32, f: impl Fn(u32) -> u32) {
        let a = &self.words[i.a as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane]);
        }
        self.set_words(i.d, active, row);
    }

    /// `d = f(a, b)`.
    #[inline(always)]
    pub fn word2(&mut self, i: &Instruction, active: u32, f: impl Fn(u32, u32) -> u32) {
        let (a, b) = (&self.words[i.a as usize], &self.words[i.b as usize]);
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane], b[lane]);
        }
        self.set_words(i.d, active, row);
    }

    /// `d = f(a, b, c)`.
    #[inline(always)]
    pub fn word3(&mut self, i: &Instruction, active: u32, f: impl Fn(u32, u32, u32) -> u32) {
        let (a, b) = (&self.words[i.a as usize], &self.words[i.b as usize]);
        let c = &self.words[i.c as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane], b[lane], c[lane]);
        }
        self.set_words(i.d, active, row);
    }

    /// `d = f(a)`, 64 bits.
    #[inline(always)]
    pub fn long1(&mut self, i: &Instruction, active: u32, f: impl Fn(u64) -> u64) {
        let a = &self.longs[i.a as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane]);
        }
        self.set_longs(i.d, active, row);
    }

    /// `d = f(a, b)`, 64 bits.
    #[inline(always)]
    pub fn long2(&mut self, i: &Instruction, active: u32, f: impl Fn(u64, u64) -> u64) {
        let (a, b) = (&self.longs[i.a as usize], &self.longs[i.b as usize]);
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane], b[lane]);
        }
        self.set_longs(i.d, active, row);
    }

    /// `d = f(a, b, c)`, 64 bits.
    #[inline(always)]
    pub fn long3(&mut self, i: &Instruction, active: u32, f: impl Fn(u64, u64, u64) -> u64) {
        let (a, b) = (&self.longs[i.a as usize], &self.longs[i.b as usize]);
        let c = &self.longs[i.c as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane], b[lane], c[lane]);
        }
        self.set_longs(i.d, active, row);
    }

    /// `d = f(a, b)`: 64 bits of a 64-bit and a 32-bit operand.
    #[inline(always)]
    pub fn long_word(&mut self, i: &Instruction, active: u32, f: impl Fn(u64, u32) -> u64) {
        let (a, b) = (&self.longs[i.a as usize], &self.words[i.b as usize]);
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane], b[lane]);
        }
        self.set_longs(i.d, active, row);
    }

    /// `d = f(a)`: 32 bits of a 64-bit operand.
    #[inline(always)]
    pub fn narrow(&mut self, i: &Instruction, active: u32, f: impl Fn(u64) -> u32) {
        let a = &self.longs[i.a as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane]);
        }
        self.set_words(i.d, active, row);
    }

    /// `d = f(a)`: 64 bits of a 32-bit operand.
    #[inline(always)]
    pub fn widen(&mut self, i: &Instruction, active: u32, f: impl Fn(u32) -> u64) {
        let a = &self.words[i.a as usize];
        let mut row = [0; LANES];
        for lane in 0..LANES {
            row[lane] = f(a[lane]);
        }
        self.set_longs(i.d, active, row);
    }
}

/// The lanes of a mask, lowest first.
pub fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let lane = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(lane)
    })
}
