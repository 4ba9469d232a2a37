//! The sum over shards: one tree, of which a process that holds fewer of them adds a branch.

use tensor::random::{Purpose, Stream};
use tensor::{Cpu, Device, Io, Kernel, Slot};

const ELEMENTS: usize = 37;

fn summed(shards: &[Vec<f32>]) -> Vec<f32> {
    let kernel = Kernel::SumShards { shards: shards.len(), elements: ELEMENTS };
    let slot = |at: usize, len| Slot::new(at * 64, len);
    let inputs: Vec<Slot> = (0..shards.len()).map(|at| slot(at, ELEMENTS)).collect();
    let mut cpu = Cpu.open((shards.len() + 1) * 64 + 512).unwrap();
    inputs.iter().zip(shards).for_each(|(slot, x)| cpu.write(*slot, x));
    let outputs = [slot(shards.len(), ELEMENTS)];
    let workspace = slot(shards.len() + 1, Cpu.workspace(&kernel));
    cpu.run(&kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
    let mut sum = vec![0.0; ELEMENTS];
    cpu.read(outputs[0], &mut sum);
    sum
}

#[test]
fn the_sum_is_that_of_its_branches() {
    let mut stream = Stream::new(5, Purpose::Test, 0, 0);
    let mut shard = |_| (0..ELEMENTS).map(|_| stream.range(-1.0, 1.0)).collect();
    let all: Vec<Vec<f32>> = (0..8).map(&mut shard).collect();
    // ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), written out.
    let tree = |at: usize| {
        let x = |shard: usize| all[shard][at];
        ((x(0) + x(1)) + (x(2) + x(3))) + ((x(4) + x(5)) + (x(6) + x(7)))
    };
    let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    let want = bits((0..ELEMENTS).map(tree).collect());
    for held in [1, 2, 4, 8] {
        let branches: Vec<_> = all.chunks(held).map(summed).collect();
        assert!(bits(summed(&branches)) == want, "branches of {held} shards");
    }
}
