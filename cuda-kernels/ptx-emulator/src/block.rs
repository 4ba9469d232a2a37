//! A block: its warps take turns, and wait for each other at barriers.

use std::collections::{BTreeMap, BTreeSet};

use isa::{Isa, multiversion};

use super::cfg::is_collective;
use super::critical_path::CriticalPath;
use super::error::{FaultKind, Place};
use super::exec::control::passed_by;
use super::exec::{Env, Problem, Step, Trouble, Unwritten, guarded, trouble};
use super::geometry::Geometry;
use super::observer::{Observer, Seen};
use super::ops::{Instruction, NONE, Op, Preset, Reduce};
use super::types::Class;
use super::waits::Waits;
use super::warp::{LANES, State, Warp, Way, lanes};

/// Barriers of a block.
const BARRIERS: usize = 16;
/// Instructions per turn of a warp, so that no warp waits forever for another.
const TURN: u64 = 16_384;
/// The same if it seems to wait for others: it has polled memory as often as `MANY_POLLS` in a turn.
const SPINNING_TURN: u64 = 64;
/// See `SPINNING_TURN`.
const MANY_POLLS: u32 = 256;

/// A barrier that some warps have reached.
#[derive(Debug, Default)]
struct Barrier {
    /// Waiting warps, with instruction and lanes.
    waiting: Vec<(usize, u32, u32)>,
    /// Warps that arrived, and their clocks after the barrier.
    came: Vec<(usize, u32)>,
    /// Number of threads to wait for, if given.
    wanted: Option<u32>,
}

/// A running block; reused for the next one.
pub struct Block<'a, 'o> {
    /// The environment of its warps.
    pub env: Env<'a>,
    /// Its warps.
    pub warps: Vec<Warp>,
    barriers: [Barrier; BARRIERS],
    /// For the sanitizer: the warps that came to each barrier instruction, after which instructions
    /// threads of each warp ended (with a lane), and what [`passed_by`] has found to be in order.
    came: BTreeSet<(u32, usize)>,
    ended: BTreeMap<(u32, usize), usize>,
    in_order: BTreeSet<(u32, u32, bool)>,
    /// Addresses of the module's variables.
    variables: &'a [u64],
    geometry: Geometry,
    budget: u64,
    /// What its warps were like after some round in which they only waited for others.
    waits: Waits,
    /// Instructions run, per thread and per warp.
    pub instructions: [u64; 2],
    /// The critical path of the first block of a launch that is profiled.
    path: CriticalPath,
    /// Called before each instruction.
    pub observer: Option<Observer<'o>>,
}

/// A problem and where it happened.
pub struct Located {
    /// What.
    pub problem: Problem,
    /// Where in the text.
    pub place: Place,
    /// `%ctaid`.
    pub block: [u32; 3],
    /// `%tid`.
    pub thread: [u32; 3],
}

impl<'a> Block<'a, '_> {
    /// A block of a launch, not yet placed in the grid.
    pub fn new(
        isa: Isa,
        env: Env<'a>,
        variables: &'a [u64],
        geometry: Geometry,
        budget: u64,
    ) -> Self {
        let kernel = env.kernel;
        let warps = geometry.threads().div_ceil(LANES);
        let watched = env.sanitizer.is_some();
        let warp = || Warp::new(isa, kernel.slots, kernel.local_bytes, watched);
        let warps = std::iter::repeat_with(warp).take(warps).collect();
        Block {
            env,
            warps,
            barriers: Default::default(),
            came: BTreeSet::new(),
            ended: BTreeMap::new(),
            in_order: BTreeSet::new(),
            variables,
            geometry,
            budget,
            waits: Waits::default(),
            instructions: [0; 2],
            path: CriticalPath::default(),
            observer: None,
        }
    }

    /// Its number in the grid.
    pub fn number(&self) -> u64 {
        self.env.block.into()
    }

    /// Runs until the block has ended (true), or does nothing but wait for other blocks.
    pub fn run(&mut self) -> Result<bool, Box<Located>> {
        loop {
            let (mut moved, mut spins) = (false, true);
            for w in 0..self.warps.len() {
                if self.warps[w].state == State::Ready {
                    moved = true;
                    self.turn(w).map_err(|problem| self.locate(*problem))?;
                    spins &= self.warps[w].state == State::Ready && self.warps[w].spins;
                }
            }
            if self.warps.iter().all(|warp| warp.state == State::Done) {
                return self.unwritten().map_or(Ok(true), Err);
            }
            if !moved {
                let waits = |warp: &Warp| warp.state == State::Waiting;
                let w = self.warps.iter().position(waits).unwrap_or(0);
                let problem = self.deadlock(w);
                return Err(self.locate(*problem));
            }
            if spins {
                return Ok(false);
            }
        }
    }

    /// Has it just become clear that it will wait forever, unless memory changes? To be asked after each of
    /// its rounds in which it only waited; `changes`: how often memory has changed.
    pub fn waits_forever(&mut self, changes: u64) -> bool {
        self.waits.another(changes, &self.warps)
    }

    /// The fault of a block that waits forever.
    pub fn endless_wait(&mut self) -> Box<Located> {
        let spins = |warp: &Warp| warp.state == State::Ready;
        let w = self.warps.iter().position(spins).unwrap_or(0);
        let Way { pc, mask } = self.warps[w].way;
        (self.env.pc, self.env.warp) = (pc, w as u16);
        let detail =
            "waits in a loop for memory to change, and all other threads wait, too, or have ended";
        let lane = mask.trailing_zeros() as usize % LANES;
        self.locate(Problem { kind: FaultKind::BarrierDivergence, lane, detail: detail.to_owned() })
    }

    /// The read of shared memory that was never written.
    fn unwritten(&mut self) -> Option<Box<Located>> {
        let Unwritten { problem, warp, pc } = *self.env.unwritten.take()?;
        (self.env.pc, self.env.warp) = (pc, warp);
        Some(self.locate(problem))
    }

    /// A fault with its place; what came first is reported.
    fn locate(&mut self, problem: Problem) -> Box<Located> {
        if let Some(first) = self.unwritten() {
            return first;
        }
        let thread = usize::from(self.env.warp) * LANES + problem.lane;
        Box::new(Located {
            place: self.env.kernel.places.get(self.env.pc as usize).copied().unwrap_or_default(),
            block: self.geometry.ctaid(self.number()),
            thread: self.geometry.tid(thread.min(self.geometry.threads() - 1)),
            problem,
        })
    }

    /// Places the block in the grid, all its threads at their first instruction.
    pub fn start(&mut self, number: u64) {
        let threads = self.geometry.threads();
        self.env.block = number as u32;
        self.env.shared.fill(0);
        self.env.copied.clear();
        self.env.unwritten = None;
        self.barriers = Default::default();
        self.waits = Waits::default();
        self.came.clear();
        self.ended.clear();
        let count = self.warps.len();
        if let Some(sanitizer) = &mut self.env.sanitizer {
            sanitizer.reset(number as u32, count);
        }
        for w in 0..count {
            let here = (threads - w * LANES).min(LANES);
            self.warps[w].reset(if here == LANES { u32::MAX } else { (1 << here) - 1 });
            self.fill(w, number);
        }
    }

    /// Fills the registers that have initial values.
    fn fill(&mut self, w: usize, number: u64) {
        let Geometry { grid, block, dynamic_shared } = self.geometry;
        let ctaid = self.geometry.ctaid(number);
        for &(class, slot, preset) in &self.env.kernel.presets {
            let warp = &mut self.warps[w];
            let slot = slot as usize;
            let lane_bit = |lane: usize| 1u32 << lane;
            let row: [u32; LANES] = match preset {
                Preset::Word(value) => [value; LANES],
                Preset::Long(value) | Preset::Depot(value) => {
                    warp.longs[slot] = [value; LANES];
                    continue;
                }
                Preset::Shared { at, wide: true, .. } => {
                    warp.longs[slot] = [at.into(); LANES];
                    continue;
                }
                Preset::Shared { at, .. } => [at; LANES],
                Preset::Global(variable, offset) => {
                    let at = self.variables[variable as usize].wrapping_add(offset as u64);
                    warp.longs[slot] = [at; LANES];
                    continue;
                }
                Preset::True | Preset::False => {
                    warp.preds[slot] = if preset == Preset::True { u32::MAX } else { 0 };
                    continue;
                }
                Preset::Tid(axis) => {
                    std::array::from_fn(|lane| self.geometry.tid(w * LANES + lane)[axis as usize])
                }
                Preset::Ntid(axis) => [block[axis as usize]; LANES],
                Preset::Ctaid(axis) => [ctaid[axis as usize]; LANES],
                Preset::Nctaid(axis) => [grid[axis as usize]; LANES],
                Preset::LaneId => std::array::from_fn(|lane| lane as u32),
                Preset::WarpId => [w as u32; LANES],
                Preset::NumWarps => [self.warps.len() as u32; LANES],
                Preset::LanesEq => std::array::from_fn(lane_bit),
                Preset::LanesLt => std::array::from_fn(|lane| lane_bit(lane) - 1),
                Preset::LanesLe => {
                    std::array::from_fn(|lane| (lane_bit(lane) - 1) | lane_bit(lane))
                }
                Preset::LanesGe => std::array::from_fn(|lane| !(lane_bit(lane) - 1)),
                Preset::LanesGt => {
                    std::array::from_fn(|lane| !((lane_bit(lane) - 1) | lane_bit(lane)))
                }
                Preset::DynamicShared => [dynamic_shared; LANES],
                Preset::TotalShared => [self.env.shared.len() as u32; LANES],
            };
            debug_assert_eq!(class, Class::Word);
            self.warps[w].words[slot] = row;
        }
    }

    /// Lets a warp run until it waits, ends, or its turn is over.
    #[multiversion(self.warps[w].isa)]
    fn turn(&mut self, w: usize) -> Result<(), Trouble> {
        let kernel = self.env.kernel;
        self.env.warp = w as u16;
        self.env.polls = 0;
        let followed = self.env.block == 0 && self.env.profile.is_some();
        let observed = self.observer.is_some() || followed;
        let end = self.warps[w].steps + if self.warps[w].spins { SPINNING_TURN } else { TURN };
        loop {
            let warp = &mut self.warps[w];
            if warp.steps >= self.budget.min(end) || self.env.polls >= MANY_POLLS {
                if warp.steps < self.budget {
                    warp.spins = self.env.polls >= MANY_POLLS || warp.spins && self.env.polls > 0;
                    if warp.spins {
                        warp.yield_to_another(&kernel.order);
                    }
                    return Ok(());
                }
                let lane = warp.way.mask.trailing_zeros() as usize & 31;
                let detail = format!("more than {} instructions of one thread", self.budget);
                return Err(trouble(FaultKind::Budget, lane, detail));
            }
            let pc = warp.way.pc;
            let straight = u64::from(kernel.straight[pc as usize]);
            let left = self.budget.min(end) - warp.steps;
            if straight > 1 && straight <= left && !observed {
                let active = warp.way.mask;
                let last = pc + straight as u32 - 1;
                let code = (pc..).zip(&kernel.code[pc as usize..=last as usize]);
                if self.env.only_counts {
                    for (pc, i) in code {
                        self.env.pc = pc;
                        self.env.count(warp, i, active)?;
                    }
                } else {
                    for (pc, i) in code {
                        self.env.pc = pc;
                        self.env.compute(warp, i, active)?;
                    }
                }
                warp.last = Some(last);
                warp.way.pc = last;
                warp.go(&kernel.order, last + 1);
                warp.steps += straight;
                if let Some(profile) = &mut self.env.profile {
                    profile.run(pc as usize..=last as usize, active);
                }
                self.instructions[0] += straight * u64::from(active.count_ones());
                self.instructions[1] += straight;
                continue;
            }
            let i = &kernel.code[pc as usize];
            let active = guarded(warp, warp.way, i);
            self.env.pc = pc;
            let mut partners = Vec::new();
            if !warp.aside.is_empty() && is_collective(i.op) {
                partners = self.env.partners(warp, i, active);
                if partners.is_empty()
                    && (warp.back_in_order(&kernel.order)
                        || self.env.others_end_first(warp, i, active)
                        || self.env.others_come_first(warp, i, active))
                {
                    continue;
                }
            }
            let lanes_of = |way: Way| guarded(warp, way, &kernel.code[way.pc as usize]);
            let also: Vec<_> = partners.iter().map(|&(_, way)| (way.pc, lanes_of(way))).collect();
            for (pc, active) in also.into_iter().chain([(pc, active)]) {
                warp.steps += 1;
                let count = u64::from(active.count_ones());
                self.instructions[0] += count;
                self.instructions[1] += 1;
                if let Some(profile) = &mut self.env.profile {
                    profile.run(pc as usize..=pc as usize, active);
                    if followed {
                        let added = self.path.step(kernel, w, pc as usize, active, warp);
                        profile.follow(w, pc as usize, added, self.path.cycles);
                    }
                }
                if let Some(observer) = &mut self.observer {
                    let Env { block, ref shared, .. } = self.env;
                    observer(Seen { block, warp: w, pc: pc as usize, active, state: warp, shared });
                }
            }
            match i.op {
                Op::Exit if active != 0 && self.env.sanitizer.is_some() => {
                    let lane = active.trailing_zeros() as usize;
                    warp.last.iter().for_each(|&last| _ = self.ended.insert((last, w), lane));
                }
                Op::Exit => {}
                _ => warp.last = Some(pc),
            }
            let step = match partners.is_empty() {
                true => self.env.step(warp, i, active),
                false => self.env.step_together(warp, i, active, &partners),
            };
            match step? {
                Step::On => {}
                Step::Barrier => self.arrive(w, i, pc, active)?,
            }
            match self.warps[w].state {
                State::Ready => {}
                State::Waiting => return Ok(()),
                State::Done => return self.release_all(),
            }
        }
    }

    /// A warp reaches a barrier.
    fn arrive(&mut self, w: usize, i: &Instruction, pc: u32, active: u32) -> Result<(), Trouble> {
        let lane = active.trailing_zeros() as usize;
        let warp = &mut self.warps[w];
        let number = warp.words[i.a as usize][lane];
        let wanted = (i.b != NONE).then(|| warp.words[i.b as usize][lane]);
        let Some(barrier) = self.barriers.get_mut(number as usize) else {
            let detail = format!("barrier {number} of {BARRIERS}");
            return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
        };
        if wanted.is_some_and(|wanted| wanted == 0 || wanted % LANES as u32 != 0) {
            let detail = format!("barrier {number} waits for {} threads", wanted.unwrap_or(0));
            return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
        }
        let waits = !matches!(i.op, Op::Barrier { arrive: true, .. });
        let aligned = !matches!(i.op, Op::Barrier { aligned: false, .. });
        let whole = self.geometry.threads().next_multiple_of(LANES) as u32;
        let threads = |wanted: Option<u32>| wanted.unwrap_or(whole);
        if let Some(&(other, its_pc, _)) = barrier.waiting.first() {
            let place = self.env.show_place(its_pc);
            if threads(barrier.wanted) != threads(wanted) {
                let detail = format!(
                    "barrier {number} is waited for with another number of threads at {place}"
                );
                return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
            }
            // To the hardware two places in the text are one barrier, but hardly to the author.
            let all = wanted.is_none() && barrier.wanted.is_none();
            if self.env.sanitizer.is_some() && all && aligned && its_pc != pc {
                let detail = format!("warp {other} waits at another barrier instruction, {place}");
                return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
            }
        }
        self.env.changed = true;
        let time = self.env.sanitizer.as_mut().map_or(0, |s| s.clocks.advance(w));
        if self.env.sanitizer.is_some() {
            self.came.insert((pc, w));
        }
        // All is all, and fewer once some have ended, even if another place counts them.
        barrier.wanted = match barrier.came.is_empty() {
            true => wanted,
            false => barrier.wanted.and(wanted),
        };
        barrier.came.push((w, time));
        if waits {
            barrier.waiting.push((w, pc, active));
            if warp.state == State::Ready {
                warp.state = State::Waiting;
            }
        }
        self.release(number as usize)
    }

    /// A warp has ended: barriers may have been waiting only for it.
    fn release_all(&mut self) -> Result<(), Trouble> {
        for number in 0..BARRIERS {
            if !self.barriers[number].waiting.is_empty() {
                self.release(number)?;
            }
        }
        Ok(())
    }

    /// Releases the warps at a barrier if all have arrived.
    fn release(&mut self, number: usize) -> Result<(), Trouble> {
        let barrier = &self.barriers[number];
        let complete = match barrier.wanted {
            Some(wanted) => barrier.came.len() * LANES >= wanted as usize,
            None => {
                let running = self.warps.iter().filter(|warp| warp.state == State::Ready).count();
                let waiting = self.warps.iter().filter(|warp| warp.state == State::Waiting).count();
                running == 0 && waiting == barrier.waiting.len()
            }
        };
        if !complete {
            return Ok(());
        }
        let barrier = std::mem::take(&mut self.barriers[number]);
        self.check_ended(&barrier)?;
        if let Some(sanitizer) = &mut self.env.sanitizer {
            let learn: Vec<usize> = barrier.waiting.iter().map(|&(w, ..)| w).collect();
            sanitizer.clocks.meet(&barrier.came, &learn);
        }
        self.reduce(&barrier);
        for &(w, ..) in &barrier.waiting {
            if self.warps[w].state == State::Waiting {
                self.warps[w].state = State::Ready;
            }
        }
        Ok(())
    }

    /// Have the threads that do not come to a barrier because they have ended done so before it? A
    /// barrier that counts its threads may leave out any.
    fn check_ended(&mut self, barrier: &Barrier) -> Result<(), Trouble> {
        let Some(&(w, pc, active)) = barrier.waiting.first().filter(|_| barrier.wanted.is_none())
        else {
            return Ok(());
        };
        for (&(last, other), &lane) in &self.ended {
            let came = self.came.contains(&(pc, other));
            if self.in_order.contains(&(pc, last, came)) {
                continue;
            }
            if passed_by(self.env.kernel, pc, last, came) {
                let detail = format!(
                    "thread {} has ended without coming to the barrier, by way of {} behind it",
                    other * LANES + lane,
                    self.env.show_place(last)
                );
                (self.env.pc, self.env.warp) = (pc, w as u16);
                let lane = active.trailing_zeros() as usize;
                return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
            }
            self.in_order.insert((pc, last, came));
        }
        Ok(())
    }

    /// The results of `bar.red`.
    fn reduce(&mut self, barrier: &Barrier) {
        let code = &self.env.kernel.code;
        let (mut set, mut all) = (0, 0);
        for &(w, pc, active) in &barrier.waiting {
            if let Op::BarrierReduce { negated, .. } = code[pc as usize].op {
                let bits = self.warps[w].preds[code[pc as usize].c as usize];
                let bits = if negated { !bits } else { bits };
                set += (bits & active).count_ones();
                all += active.count_ones();
            }
        }
        for &(w, pc, active) in &barrier.waiting {
            let i = &code[pc as usize];
            let Op::BarrierReduce { reduce, .. } = i.op else { continue };
            let holds = if reduce == Reduce::And { set == all } else { set > 0 };
            match reduce {
                Reduce::Popc => self.warps[w].set_words(i.d, active, [set; LANES]),
                _ => self.warps[w].set_pred(i.d, active, if holds { u32::MAX } else { 0 }),
            }
        }
    }

    /// Deadlock: warps wait at different barriers, or for threads that never arrive.
    fn deadlock(&mut self, w: usize) -> Trouble {
        self.env.warp = w as u16;
        let mut places = Vec::new();
        let mut lane = 0;
        for (number, barrier) in self.barriers.iter().enumerate() {
            for &(warp, pc, active) in &barrier.waiting {
                if warp == w {
                    self.env.pc = pc;
                    lane = active.trailing_zeros() as usize;
                }
                if places.len() < 4 {
                    let place = self.env.show_place(pc);
                    places.push(format!("warp {warp} at barrier {number}, {place}"));
                }
            }
        }
        let detail = format!("all warps wait and none can go on: {}", places.join("; "));
        trouble(FaultKind::BarrierDivergence, lane, detail)
    }
}

/// Lanes in words, for traces.
pub fn show_lanes(mask: u32) -> String {
    if mask == u32::MAX {
        return "all".to_owned();
    }
    lanes(mask).map(|lane| lane.to_string()).collect::<Vec<_>>().join(" ")
}
