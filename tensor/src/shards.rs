//! Sums over the shards of a batch, in a fixed tree: the first half of the shards, added in the same
//! way, plus the second half.
//!
//! The number of shards is a power of two, and processes hold equal runs of them. So what a process
//! adds is a whole branch of the tree, and the bits do not depend on how many processes there are.

use crate::arena::{ALIGN, Slot};
use crate::kernel::{Io, Kernel};

/// How many shards a batch has, both powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// In all.
    pub all: usize,
    /// On this process.
    pub local: usize,
}

impl Default for Shards {
    fn default() -> Shards {
        Shards { all: 1, local: 1 }
    }
}

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
            run(
                &Kernel::Add,
                &Io { inputs: &[y, other], outputs: &[y], workspace: Slot::default() },
            );
        }
    }
}
