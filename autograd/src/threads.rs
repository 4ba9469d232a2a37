//! Ranks as threads of one process, to see what several ranks do without a launcher.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tensor::{Error, Result};

use crate::transport::{AbortOnPanic, Lane, Transport};

/// One of the threads.
pub struct Threads {
    rank: usize,
    /// Where they meet, for each lane.
    meetings: Arc<[Meeting; 2]>,
}

struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What each rank has handed in, as bytes.
    parts: Vec<Vec<u8>>,
    /// Ranks that have come to the next meeting point, and the points that all have passed.
    here: usize,
    passed: usize,
    /// The rank that has ended all.
    gone: Option<usize>,
}

impl Threads {
    /// So many ranks, in their order.
    pub fn ranks(number: usize) -> Vec<Threads> {
        let meeting = || {
            let state = State { parts: vec![Vec::new(); number], here: 0, passed: 0, gone: None };
            Meeting { state: Mutex::new(state), changed: Condvar::new() }
        };
        let meetings = Arc::new([meeting(), meeting()]);
        (0..number).map(|rank| Threads { rank, meetings: Arc::clone(&meetings) }).collect()
    }

    /// Runs `work` as each of so many ranks; returns their results in order.
    ///
    /// # Panics
    /// If one of them does.
    pub fn run<T: Send>(number: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
        let as_rank = |rank: Threads| {
            let same = Threads { rank: rank.rank, meetings: Arc::clone(&rank.meetings) };
            let _guard = AbortOnPanic(&same);
            work(rank)
        };
        let as_rank = &as_rank;
        std::thread::scope(|scope| {
            let ranks = Threads::ranks(number).into_iter();
            let ranks: Vec<_> = ranks.map(|rank| scope.spawn(move || as_rank(rank))).collect();
            ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
        })
    }

    /// All ranks hand in something and take what they want.
    fn meet(&self, lane: Lane, mine: &[u8], take: impl FnOnce(&[Vec<u8>])) -> Result<()> {
        let meeting = &self.meetings[lane as usize];
        meeting.state().parts[self.rank] = mine.to_vec();
        meeting.pass()?;
        take(&meeting.state().parts);
        meeting.pass()
    }
}

impl Meeting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no rank panics here")
    }

    /// Waits until all ranks are here.
    fn pass(&self) -> Result<()> {
        let mut state = self.state();
        let point = state.passed;
        state.here += 1;
        if state.here == state.parts.len() {
            (state.here, state.passed) = (0, point + 1);
            self.changed.notify_all();
        }
        let waits = |state: &mut State| state.passed == point && state.gone.is_none();
        state = self.changed.wait_while(state, waits).expect("no rank panics here");
        match state.gone {
            Some(rank) if state.passed == point => {
                Err(Error::device(format!("rank {rank} has ended all")))
            }
            _ => Ok(()),
        }
    }
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.meetings[0].state().parts.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn has_two_lanes(&self) -> bool {
        true
    }

    fn exchange(&self, lane: Lane, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        let theirs = bytemuck::cast_slice_mut(theirs);
        self.meet(lane, bytemuck::cast_slice(mine), |parts| theirs.copy_from_slice(&parts[with]))
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        let all: &mut [u8] = bytemuck::cast_slice_mut(all);
        self.meet(Lane::Ops, bytemuck::cast_slice(mine), |parts| {
            all.copy_from_slice(&parts.concat());
        })
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let mine = bytes.to_vec();
        self.meet(Lane::Ops, &mine, |parts| bytes.copy_from_slice(&parts[from]))
    }

    fn abort(&self, _exit_code: u8) {
        for meeting in &*self.meetings {
            meeting.state().gone.get_or_insert(self.rank);
            meeting.changed.notify_all();
        }
    }
}
