//! The sum over shards: one tree, however many ranks hold its branches.

use tensor::random::{Purpose, Stream};
use tensor::shards::sum_ranks;
use tensor::{Cpu, Device, Io, Kernel, Slot};

const ELEMENTS: usize = 37;

/// The sum over shards of which each rank holds some.
fn summed(all: &[Vec<f32>], ranks: usize) -> Vec<u32> {
    let shards = all.len() / ranks;
    let kernel = Kernel::SumShards { shards, elements: ELEMENTS };
    let mut parts = Vec::new();
    for held in all.chunks(shards) {
        let slot = |at: usize, len| Slot { offset: at * 64, len };
        let inputs: Vec<Slot> = (0..shards).map(|at| slot(at, ELEMENTS)).collect();
        let mut cpu = Cpu.open((shards + 1) * 64 + 512).unwrap();
        inputs.iter().zip(held).for_each(|(slot, x)| cpu.write(*slot, x));
        let outputs = [slot(shards, ELEMENTS)];
        let workspace = slot(shards + 1, Cpu.workspace(&kernel));
        cpu.run(&kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
        let mut sum = vec![0.0; ELEMENTS];
        cpu.read(outputs[0], &mut sum);
        parts.extend(sum);
    }
    sum_ranks(&mut parts, ranks);
    parts[..ELEMENTS].iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_sum_does_not_depend_on_the_ranks() {
    let mut stream = Stream::new(5, Purpose::Test, 0, 0);
    let mut shard = |_| (0..ELEMENTS).map(|_| stream.range(-1.0, 1.0)).collect();
    let all: Vec<Vec<f32>> = (0..8).map(&mut shard).collect();
    // ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), written out.
    let tree = |at: usize| {
        let x = |shard: usize| all[shard][at];
        ((x(0) + x(1)) + (x(2) + x(3))) + ((x(4) + x(5)) + (x(6) + x(7)))
    };
    let want: Vec<u32> = (0..ELEMENTS).map(|at| tree(at).to_bits()).collect();
    for ranks in [1, 2, 4, 8] {
        assert!(summed(&all, ranks) == want, "{ranks} ranks");
    }
}
