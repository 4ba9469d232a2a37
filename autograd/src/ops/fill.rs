//! `y = value` in every element: the seed of a backward pass.

use tensor::{Backend, Shape};

use crate::graph::{Graph, Io, Op, Value};

struct Fill(f32);

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        0
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        backend.fill(io.outputs[0], self.0);
    }
}

impl Graph {
    /// A tensor with one value everywhere.
    pub fn fill(&mut self, shape: impl Into<Shape>, value: f32) -> Value {
        let [y] = self.push(Fill(value), &[], [shape.into()]);
        y
    }
}
