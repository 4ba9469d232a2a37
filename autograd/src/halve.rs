//! Activations and their gradients in half of the memory: stored as bf16.
//!
//! A device says which operands of a kernel may be bf16 in memory, and which of them only together
//! ([`Device::halves`]). So may a value that is nothing but such operands, all the way through the values
//! that it must be together with: from one convolution to the next, and back. Features, losses, weights and
//! statistics are read by other kernels, and stay f32.

use tensor::{Device, Halves};

use crate::graph::{DType, Graph, Kind, Node, Value, ValueInfo};

/// Numbers in a row of a bf16 tensor are a multiple of this: 16 bytes.
const ROW: usize = 8;

impl Graph {
    /// Stores as bf16 what `device` can have so. Call it on the whole list, before
    /// [`Graph::recompute`]: what is made anew is stored as before.
    pub fn halve(&mut self, device: &dyn Device) {
        let mut together = Together::new(self.values.len());
        let may = |info: &ValueInfo| {
            let is_row = info.shape.columns().is_multiple_of(ROW);
            info.kind == Kind::Temp && info.dtype == DType::F32 && !info.kept && is_row
        };
        let mut can: Vec<bool> = self.values.iter().map(may).collect();
        let spans = self.spans.iter().flat_map(|span| &span.members);
        spans.for_each(|member| can[member.index()] = false);
        for node in &self.nodes {
            let groups = device.halves(&node.kernel);
            let operands: Vec<Vec<Value>> = groups.iter().map(|group| of(group, node)).collect();
            for group in &operands {
                group.windows(2).for_each(|pair| together.join(pair[0], pair[1]));
            }
            for v in node.inputs.iter().chain(&node.outputs) {
                can[v.index()] &= operands.iter().any(|group| group.contains(v));
            }
        }
        // One that cannot keeps the others from it.
        let mut whole = vec![true; can.len()];
        for v in 0..can.len() {
            whole[together.first(v)] &= can[v];
        }
        for v in 0..can.len() {
            if whole[together.first(v)] {
                self.values[v].dtype = DType::Bf16;
            }
        }
    }
}

/// The values of a group of operands.
fn of(group: &Halves, node: &Node) -> Vec<Value> {
    let inputs = group.inputs.iter().filter_map(|&place| node.inputs.get(place));
    inputs
        .chain(group.outputs.iter().filter_map(|&place| node.outputs.get(place)))
        .copied()
        .collect()
}

/// Which values belong together: a forest, of which each tree is one set (union-find).
struct Together(Vec<usize>);

impl Together {
    fn new(values: usize) -> Together {
        Together((0..values).collect())
    }

    /// The root of a value's tree; the way there becomes shorter.
    fn first(&mut self, mut v: usize) -> usize {
        while self.0[v] != v {
            self.0[v] = self.0[self.0[v]];
            v = self.0[v];
        }
        v
    }

    fn join(&mut self, a: Value, b: Value) {
        let (a, b) = (self.first(a.index()), self.first(b.index()));
        self.0[a] = b;
    }
}
