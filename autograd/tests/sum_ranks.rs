//! Sums over ranks: one tree, whatever the length, through the host and from device to device.

use std::sync::Arc;

use autograd::Transport;
use autograd::sum_ranks::RankSums;
use autograd::threads::Threads;
use tensor::random::{Purpose, Stream};
use tensor::{Backend, Cpu, Device, Io, Kernel, Result, Slot};

/// A device that exchanges numbers itself, once it is linked.
struct Linked {
    cpu: Box<dyn Backend>,
    ranks: Arc<Threads>,
    is_linked: bool,
}

impl Backend for Linked {
    fn write(&mut self, to: Slot, data: &[f32]) {
        self.cpu.write(to, data);
    }

    fn write_u32(&mut self, to: Slot, data: &[u32]) {
        self.cpu.write_u32(to, data);
    }

    fn read(&mut self, from: Slot, data: &mut [f32]) {
        self.cpu.read(from, data);
    }

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        self.cpu.run(kernel, io);
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        self.cpu.all_finite(x)
    }

    fn can_link(&self) -> bool {
        true
    }

    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut id = [rank as u8; 2];
        share(&mut id)?;
        assert_eq!((id, ranks), ([0; 2], self.ranks.size()), "the first rank's");
        self.is_linked = true;
        Ok(())
    }

    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) {
        assert!(self.is_linked);
        let (mut sent, mut received) = (vec![0.0; mine.len], vec![0.0; theirs.len]);
        self.cpu.read(mine, &mut sent);
        self.ranks.exchange(with, &sent, &mut received).unwrap();
        self.cpu.write(theirs, &received);
    }
}

/// The sum of some ranks, from the first of them on, of one element.
type Tree<'a> = &'a dyn Fn(usize, usize) -> f32;

/// Each rank's sum of all of `parts`.
fn summed(parts: &[Vec<f32>], is_linked: bool) -> Vec<Vec<u32>> {
    let sum = |ranks: Threads| {
        let mut x = parts[ranks.rank()].clone();
        let ranks = Arc::new(ranks);
        let (slot, scratch) =
            (Slot { offset: 0, len: x.len() }, RankSums::scratch(&*ranks, x.len()));
        let theirs = Slot { offset: x.len().next_multiple_of(16), len: scratch };
        let mut backend = Cpu.open(theirs.offset + scratch).unwrap();
        if is_linked {
            backend =
                Box::new(Linked { cpu: backend, ranks: Arc::clone(&ranks), is_linked: false });
        }
        backend.write(slot, &x);
        let mut sums = RankSums::new(ranks, theirs);
        sums.link(&mut *backend).unwrap();
        sums.sum(&mut *backend, slot).unwrap();
        backend.read(slot, &mut x);
        x.into_iter().map(f32::to_bits).collect()
    };
    Threads::run(parts.len(), sum)
}

#[test]
fn every_rank_has_the_sum_in_the_order_of_the_tree() {
    let mut stream = Stream::new(5, Purpose::Test, 0, 0);
    // Whole, in halves, in halves that are not equal, and in several parts.
    for elements in [1, 37, 1 << 14, 1 << 15, 40_003, (1 << 20) + 17] {
        let mut part = |_| (0..elements).map(|_| stream.range(-1.0, 1.0)).collect();
        let parts: Vec<Vec<f32>> = (0..8).map(&mut part).collect();
        let x = |rank: usize, at: usize| parts[rank][at];
        let two = |rank, at| x(rank, at) + x(rank + 1, at);
        let four = |rank, at| two(rank, at) + two(rank + 2, at);
        let eight = |rank, at| four(rank, at) + four(rank + 4, at);
        let trees: [(usize, Tree); 4] = [(1, &x), (2, &two), (4, &four), (8, &eight)];
        for (ranks, tree) in trees {
            let want: Vec<u32> = (0..elements).map(|at| tree(0, at).to_bits()).collect();
            for is_linked in [false, true] {
                let sums = summed(&parts[..ranks], is_linked);
                assert!(sums.iter().all(|sum| *sum == want), "{ranks} ranks, {elements} elements");
            }
        }
    }
}
