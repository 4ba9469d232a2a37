//! Sums over the shards of a batch, in a fixed tree: the first half of the shards, added in the same
//! way, plus the second half.
//!
//! The number of shards is a power of two, and processes hold equal runs of them. So what a process
//! adds is a whole branch of the tree, and the bits do not depend on how many processes there are.

use crate::arena::{ALIGN, Slot};
use crate::kernel::{Io, Kernel};

/// Elements of scratch memory of [`sum`]: one partial sum per level of the tree but the lowest and
/// the last.
pub fn workspace(shards: usize, elements: usize) -> usize {
    (shards.ilog2() as usize).saturating_sub(1) * elements.next_multiple_of(ALIGN)
}

/// [`Kernel::SumShards`] as the additions that `run` runs.
///
/// # Panics
/// If the number of inputs is not a power of two.
pub fn sum(io: &Io, run: &mut dyn FnMut(&Kernel, &Io)) {
    assert!(io.inputs.len().is_power_of_two(), "{} shards", io.inputs.len());
    branch(io.inputs, io.outputs[0], io.workspace, run);
}

fn branch(parts: &[Slot], y: Slot, workspace: Slot, run: &mut dyn FnMut(&Kernel, &Io)) {
    let mut call = |kernel, inputs: &[Slot]| {
        run(&kernel, &Io { inputs, outputs: &[y], workspace: Slot::default() });
    };
    match parts {
        [_] => call(Kernel::Copy, parts),
        [_, _] => call(Kernel::Add, parts),
        _ => {
            let (first, second) = parts.split_at(parts.len() / 2);
            let taken = y.len.next_multiple_of(ALIGN);
            let other = workspace.part(0, y.len);
            branch(first, y, workspace, run);
            branch(second, other, workspace.part(taken, workspace.len - taken), run);
            run(&Kernel::Add, &Io { inputs: &[y, other], outputs: &[y], workspace: Slot::default() });
        }
    }
}

/// The upper levels of the tree: adds up the sums of equally many ranks, one behind the other, into
/// the first.
///
/// # Panics
/// If they are not a power of two of equal parts.
pub fn sum_ranks(parts: &mut [f32], ranks: usize) {
    assert!(ranks.is_power_of_two() && parts.len().is_multiple_of(ranks), "{ranks} ranks");
    if ranks > 1 {
        let (first, second) = parts.split_at_mut(parts.len() / 2);
        sum_ranks(first, ranks / 2);
        sum_ranks(second, ranks / 2);
        let len = first.len() / (ranks / 2);
        first[..len].iter_mut().zip(second).for_each(|(sum, x)| *sum += *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::{Cpu, Device};

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
}
