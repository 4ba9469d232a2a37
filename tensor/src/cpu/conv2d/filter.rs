//! The weights of a convolution, as they are or for the gradient by the input.

use std::ops::Range;

use isa::{Isa, LANES, Vector, multiversion};
use rayon::prelude::*;

use crate::cpu::microkernel::{copy_lanes, transpose_lanes};
use crate::geometry::Conv2d;

/// The weights of a convolution with `outputs` x `window` x `inputs` numbers.
#[derive(Clone, Copy)]
pub struct Filter<'a> {
    weight: &'a [f32],
    /// Output channels.
    pub outputs: usize,
    /// R S.
    pub window: usize,
    /// Input channels.
    pub inputs: usize,
    /// From an output to the next, from a place of the window to the next, from an input to the next.
    steps: [usize; 3],
    rotated: bool,
}

impl<'a> Filter<'a> {
    /// The weight `[O,R,S,C]` as it is.
    pub fn new(conv: Conv2d, weight: &'a [f32]) -> Filter<'a> {
        let Conv2d { o, r, s, c, .. } = conv;
        let steps = [r * s * c, c, 1];
        Filter { weight, outputs: o, window: r * s, inputs: c, steps, rotated: false }
    }

    /// With its channels swapped: `transposed[c, r, s, o] = weight[o, r, s, c]`.
    pub fn transposed(conv: Conv2d, weight: &'a [f32]) -> Filter<'a> {
        let Conv2d { o, r, s, c, .. } = conv;
        let steps = [1, c, r * s * c];
        Filter { weight, outputs: c, window: r * s, inputs: o, steps, rotated: false }
    }

    /// Likewise, and rotated by 180 degrees: `turned[c, R-1-r, S-1-s, o] = weight[o, r, s, c]`.
    pub fn turned(conv: Conv2d, weight: &'a [f32]) -> Filter<'a> {
        Filter { rotated: true, ..Filter::transposed(conv, weight) }
    }

    /// `lanes[i][j]`: the weight of output `first + j` at that place of the window for the i-th of
    /// `inputs`; zeros beyond the last output.
    #[inline(always)]
    pub fn lanes<V: Vector>(
        &self,
        first: usize,
        place: usize,
        inputs: Range<usize>,
        lanes: &mut [[f32; LANES]],
    ) {
        let place = if self.rotated { self.window - 1 - place } else { place };
        let [output, window, input] = self.steps;
        let weight = &self.weight[first * output + place * window..];
        let count = LANES.min(self.outputs - first);
        let lanes = &mut lanes[..inputs.len()];
        if count < LANES {
            lanes.fill([0.0; LANES]);
        }
        if output == 1 {
            for (i, lanes) in inputs.zip(lanes) {
                copy_lanes(&weight[i * input..], count, lanes);
            }
            return;
        }
        // Outputs are far apart, inputs follow each other.
        transpose_lanes::<V>(&weight[inputs.start..], output, count, lanes);
    }

    /// Elements of all places in panels.
    pub fn packed(conv: Conv2d) -> usize {
        conv.o.next_multiple_of(LANES) * conv.patch()
    }

    /// Panels for the microkernel, of that many places of the window: `panels[o / 16][i, input][o %
    /// 16]` with the weights at `place(i)`.
    #[multiversion(isa, V)]
    pub fn pack(
        &self,
        isa: Isa,
        places: usize,
        place: impl Fn(usize) -> usize + Sync,
        panels: &mut [f32],
    ) {
        let panel = (places * self.inputs * LANES).max(1);
        panels.par_chunks_mut(panel).enumerate().for_each(|(panel, out)| {
            let (out, _) = out.as_chunks_mut::<LANES>();
            for (i, out) in out.chunks_exact_mut(self.inputs).enumerate() {
                // So few that they stay in L1.
                for (first, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES)) {
                    self.lanes::<V>(panel * LANES, place(i), first..first + out.len(), out);
                }
            }
        });
    }
}
