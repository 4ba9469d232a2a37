//! Sums over ranks: one tree, whatever the length, through the host and from device to device.

#[path = "common/linked.rs"]
mod linked;

use std::sync::Arc;

use autograd::sum_ranks::{scratch, sum, sum_linked};
use autograd::threads::Threads;
use autograd::{Lane, Transport};
use linked::LinkedCpu;
use tensor::random::{Purpose, Stream};
use tensor::{Device, Slot};

/// The sum of some ranks, from the first of them on, of one element.
type Tree<'a> = &'a dyn Fn(usize, usize) -> f32;

/// Each rank's sum of all of `parts`.
fn summed(parts: &[Vec<f32>], is_linked: bool) -> Vec<Vec<u32>> {
    let summed = |ranks: Threads| {
        let mut x = parts[ranks.rank()].clone();
        let len = scratch(x.len());
        if is_linked {
            let ranks = Arc::new(ranks);
            let slot = Slot::new(0, x.len());
            let theirs = Slot::new(x.len().next_multiple_of(16), len);
            let mut backend = LinkedCpu(Arc::clone(&ranks)).open(theirs.offset + len).unwrap();
            let share = &mut |bytes: &mut [u8]| ranks.broadcast(0, bytes);
            backend.link(ranks.rank(), ranks.size(), share).unwrap();
            backend.write(slot, &x);
            sum_linked(&*ranks, &mut *backend, slot, theirs).unwrap();
            backend.read(slot, &mut x);
        } else {
            sum(&ranks, Lane::Ops, &mut x, &mut vec![0.0; len]).unwrap();
        }
        x.into_iter().map(f32::to_bits).collect()
    };
    Threads::run(parts.len(), summed)
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
