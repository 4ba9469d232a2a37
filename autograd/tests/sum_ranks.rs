//! Sums over ranks: one tree, whatever the length.

use autograd::Transport;
use autograd::sum_ranks::sum_ranks;
use autograd::threads::Threads;
use tensor::random::{Purpose, Stream};

/// Each rank's sum of all of `parts`.
fn summed(parts: &[Vec<f32>]) -> Vec<Vec<u32>> {
    std::thread::scope(|scope| {
        let rank = |ranks: Threads| {
            let mut x = parts[ranks.rank()].clone();
            scope.spawn(move || {
                let mut theirs = vec![0.0; x.len()];
                sum_ranks(&mut x, &mut theirs, &ranks).unwrap();
                x.iter().map(|x| x.to_bits()).collect()
            })
        };
        let ranks: Vec<_> = Threads::ranks(parts.len()).into_iter().map(rank).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn every_rank_has_the_sum_in_the_order_of_the_tree() {
    let mut stream = Stream::new(5, Purpose::Test, 0, 0);
    // Whole, in halves, and in halves that are not equal.
    for elements in [1, 37, 1 << 14, 1 << 15, 40_003] {
        let mut part = |_| (0..elements).map(|_| stream.range(-1.0, 1.0)).collect();
        let parts: Vec<Vec<f32>> = (0..8).map(&mut part).collect();
        let x = |rank: usize, at: usize| parts[rank][at];
        let two = |rank, at| x(rank, at) + x(rank + 1, at);
        let four = |rank, at| two(rank, at) + two(rank + 2, at);
        let eight = |rank, at| four(rank, at) + four(rank + 4, at);
        let trees: [(usize, &dyn Fn(usize, usize) -> f32); 4] =
            [(1, &x), (2, &two), (4, &four), (8, &eight)];
        for (ranks, tree) in trees {
            let want: Vec<u32> = (0..elements).map(|at| tree(0, at).to_bits()).collect();
            let sums = summed(&parts[..ranks]);
            assert!(sums.iter().all(|sum| *sum == want), "{ranks} ranks, {elements} elements");
        }
    }
}
