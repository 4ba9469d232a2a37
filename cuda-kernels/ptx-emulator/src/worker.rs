//! Runs blocks on one thread: one after the other, but those that only wait for others are put
//! aside until these have run, as a card holds many blocks at a time.

use std::collections::VecDeque;

use super::block::{Block, Located};
use super::observer::Observer;
use super::profiler::Profile;
use super::sanitizer::Shadow;

/// Blocks that may wait at a time: as many as the largest card of today holds, a B200's 148
/// multiprocessors with 32 each.
const WAITING: usize = 148 * 32;

/// A thread's blocks and what they hand on to each other.
pub struct Worker<'a, 'o> {
    /// Shadow of global memory, if the launch is checked.
    pub global: Option<Shadow>,
    /// Called before each instruction.
    pub observer: Option<Observer<'o>>,
    waiting: VecDeque<Block<'a, 'o>>,
    /// How often memory has changed, and how many blocks will wait forever unless it does so again.
    changes: u64,
    endless: usize,
    idle: Vec<Block<'a, 'o>>,
}

impl<'a, 'o> Worker<'a, 'o> {
    /// Without blocks.
    pub fn new(global: Option<Shadow>, observer: Option<Observer<'o>>) -> Worker<'a, 'o> {
        let waiting = VecDeque::new();
        Worker { global, observer, waiting, changes: 0, endless: 0, idle: Vec::new() }
    }

    /// Runs the blocks that `next` numbers until there are none, or one has a fault: its number
    /// and the fault.
    pub fn run(
        &mut self,
        next: impl Fn() -> Option<u64>,
        make: impl Fn() -> Block<'a, 'o>,
    ) -> Result<(), (u64, Box<Located>)> {
        loop {
            let new = if self.waiting.len() < WAITING { next() } else { None };
            if let Some(number) = new {
                let mut block = self.idle.pop().unwrap_or_else(&make);
                block.start(number);
                self.go_on(block)?;
            }
            match self.waiting.pop_front() {
                Some(block) => {
                    self.go_on(block)?;
                    let endless = self.endless > 0 && self.endless == self.waiting.len();
                    if new.is_none() && endless {
                        return Err(self.endless_wait());
                    }
                }
                None if new.is_none() => return Ok(()),
                None => {}
            }
        }
    }

    fn go_on(&mut self, mut block: Block<'a, 'o>) -> Result<(), (u64, Box<Located>)> {
        if let Some(sanitizer) = &mut block.env.sanitizer {
            sanitizer.global = self.global.take();
        }
        block.observer = self.observer.take();
        let result = block.run();
        self.observer = block.observer.take();
        if let Some(sanitizer) = &mut block.env.sanitizer {
            self.global = sanitizer.global.take();
        }
        let number = block.number();
        if std::mem::take(&mut block.env.changed) {
            (self.changes, self.endless) = (self.changes + 1, 0);
        }
        let ended = result.as_ref().map_or(true, |&ended| ended);
        if ended {
            self.idle.push(block)
        } else {
            self.endless += usize::from(block.waits_forever(self.changes));
            self.waiting.push_back(block)
        }
        result.map(|_| ()).map_err(|located| (number, located))
    }

    /// The fault of blocks that all wait, the lowest one's.
    fn endless_wait(&mut self) -> (u64, Box<Located>) {
        let lowest = self.waiting.iter_mut().min_by_key(|block| block.number());
        let block = lowest.expect("a block waits");
        (block.number(), block.endless_wait())
    }

    /// Instructions, per thread and per warp, and the profile.
    pub fn counts(self) -> ([u64; 2], Option<Box<Profile>>) {
        let (mut instructions, mut profile) = ([0; 2], None::<Box<Profile>>);
        for block in self.idle.into_iter().chain(self.waiting) {
            let [threads, warps] = block.instructions;
            instructions = [instructions[0] + threads, instructions[1] + warps];
            match (&mut profile, block.env.profile) {
                (Some(sum), Some(part)) => sum.add(&part),
                (sum, part) => *sum = part,
            }
        }
        (instructions, profile)
    }
}
