//! The slice of a kernel that decides its course (Weiser: Program Slicing, 1984), see [`Slice`]. The
//! other instructions need not run to be counted.

use std::collections::BTreeSet;

use super::ops::{Address, Kernel, NONE, Op, R, Slice};
use super::types::Space;

/// The slice of a kernel whose registers do not share slots yet.
pub fn slice(kernel: &Kernel, registers: usize) -> Slice {
    let mut writers: Vec<Vec<usize>> = vec![Vec::new(); registers];
    for (pc, i) in kernel.code.iter().enumerate() {
        kernel.writes(i).for_each(|r| writers[r as usize].push(pc));
    }
    let slice = Slice { inside: vec![false; kernel.code.len()], ..Slice::default() };
    let mut slicer = Slicer { kernel, slice, read: BTreeSet::new(), work: Vec::new() };
    slicer.begin();
    let mut wanted = vec![false; registers];
    while let Some(r) = slicer.work.pop() {
        if r != NONE && !std::mem::replace(&mut wanted[r as usize], true) {
            writers[r as usize].iter().for_each(|&pc| slicer.take(pc));
        }
    }
    slicer.slice
}

/// Bytes of the widest load or store.
const WIDEST: u32 = 32;

/// The bytes of a variable, where it is known.
type Variable = Option<(u32, u32)>;

/// A slice being made.
struct Slicer<'a> {
    kernel: &'a Kernel,
    slice: Slice,
    /// Variables that were read from, and whether they are in shared memory.
    read: BTreeSet<(bool, Variable)>,
    /// Registers that decide.
    work: Vec<R>,
}

impl Slicer<'_> {
    /// The registers that guards, addresses and jumps name.
    fn begin(&mut self) {
        let kernel = self.kernel;
        for (pc, i) in kernel.code.iter().enumerate() {
            self.work.push(i.guard);
            match i.op {
                Op::Load { .. }
                | Op::Store { .. }
                | Op::LoadMatrix { .. }
                | Op::StoreMatrix { .. } => self.work.push(i.a),
                Op::CopyAsync { .. }
                | Op::BranchIndex
                | Op::Barrier { .. }
                | Op::BarrierReduce { .. } => self.work.extend(kernel.operands(i)),
                // The carry flag is no register that could be followed.
                Op::Carry { .. } => self.take(pc),
                Op::Atomic { .. } | Op::MBarrier(..) | Op::Clock(_) => {
                    self.slice.needs_data = true;
                }
                _ => {}
            }
        }
    }

    /// An instruction decides, and so do its operands.
    fn take(&mut self, pc: usize) {
        if std::mem::replace(&mut self.slice.inside[pc], true) {
            return;
        }
        let i = &self.kernel.code[pc];
        self.work.extend(self.kernel.reads(i));
        match i.op {
            Op::Load { space: Space::Global | Space::Generic, .. } | Op::LoadMatrix { .. } => {
                self.slice.needs_data = true;
            }
            Op::Load { space: space @ (Space::Shared | Space::Local), .. } => {
                self.slice.reads_memory = true;
                let variable = self.variable(pc);
                if self.read.insert((space == Space::Shared, variable)) {
                    self.take_stores(space, variable);
                }
            }
            _ => {}
        }
    }

    /// The bytes that a load or a store may touch.
    fn variable(&self, pc: usize) -> Variable {
        let i = &self.kernel.code[pc];
        match i.op {
            Op::Load { address: Address::Fixed, .. }
            | Op::Store { address: Address::Fixed, .. } => {
                Some((i.imm as u32, i.imm as u32 + WIDEST))
            }
            _ => self.kernel.hints[pc].object,
        }
    }

    /// What is stored where one loads decides, too: in this variable if it is known, else in any.
    fn take_stores(&mut self, space: Space, variable: Variable) {
        for (pc, i) in self.kernel.code.iter().enumerate() {
            let stored = match i.op {
                Op::Store { space: space @ (Space::Shared | Space::Local), .. } => space,
                Op::StoreMatrix { .. } => Space::Shared,
                Op::Store { space: Space::Generic, .. } => {
                    self.slice.needs_data = true;
                    continue;
                }
                _ => continue,
            };
            let is_another = match (variable, self.variable(pc)) {
                (Some(read), Some(written)) => read.1 <= written.0 || written.1 <= read.0,
                _ => false,
            };
            if stored == space && !is_another {
                self.take(pc);
            }
        }
    }
}
