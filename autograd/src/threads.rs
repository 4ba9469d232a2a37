//! Ranks as threads of one process, to see what several ranks do without a launcher.

use std::sync::{Arc, Barrier, Mutex};

use tensor::Result;

use crate::transport::Transport;

/// One of the threads.
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

struct Shared {
    /// What each rank has handed in, as bytes.
    parts: Vec<Mutex<Vec<u8>>>,
    barrier: Barrier,
}

impl Threads {
    /// So many ranks, in their order.
    pub fn ranks(number: usize) -> Vec<Threads> {
        let parts = (0..number).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { parts, barrier: Barrier::new(number) });
        (0..number).map(|rank| Threads { rank, shared: Arc::clone(&shared) }).collect()
    }

    /// Runs `work` as each of so many ranks; returns their results in order.
    ///
    /// # Panics
    /// If one of them does.
    pub fn run<T: Send>(number: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let work = &work;
            let ranks = Threads::ranks(number).into_iter();
            let ranks: Vec<_> = ranks.map(|rank| scope.spawn(move || work(rank))).collect();
            ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
        })
    }

    /// All ranks hand in something and take what they want.
    fn meet(&self, mine: &[u8], take: impl FnOnce(&[Mutex<Vec<u8>>])) {
        let Shared { parts, barrier } = &*self.shared;
        *parts[self.rank].lock().expect("no rank panics here") = mine.to_vec();
        barrier.wait();
        take(parts);
        barrier.wait();
    }
}

fn copy(part: &Mutex<Vec<u8>>, to: &mut [u8]) {
    to.copy_from_slice(&part.lock().expect("no rank panics here"));
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.parts.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn exchange(&self, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        let theirs = bytemuck::cast_slice_mut(theirs);
        self.meet(bytemuck::cast_slice(mine), |parts| copy(&parts[with], theirs));
        Ok(())
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        let all = all.chunks_exact_mut(mine.len());
        self.meet(bytemuck::cast_slice(mine), |parts| {
            parts.iter().zip(all).for_each(|(part, all)| copy(part, bytemuck::cast_slice_mut(all)));
        });
        Ok(())
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        let mine = bytes.to_vec();
        self.meet(&mine, |parts| copy(&parts[from], bytes));
        Ok(())
    }

    fn abort(&self, exit_code: u8) -> ! {
        std::process::exit(exit_code.into())
    }
}
