//! The weights of a convolution, as they are or for the gradient by the input.

use rayon::prelude::*;

use crate::cpu::microkernel::LANES;
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

    /// The weights of [`LANES`] outputs from `first` on, at one place of the window and for one
    /// input; zeros beyond the last output.
    #[inline]
    pub fn lanes(&self, first: usize, place: usize, input: usize) -> [f32; LANES] {
        let place = if self.rotated { self.window - 1 - place } else { place };
        let start = first * self.steps[0] + place * self.steps[1] + input * self.steps[2];
        let mut lanes = [0.0; LANES];
        let weights = self.weight[start..].iter().step_by(self.steps[0]);
        for (lane, weight) in lanes.iter_mut().zip(weights).take(self.outputs - first) {
            *lane = *weight;
        }
        lanes
    }

    /// Elements of all places in panels.
    pub fn packed(conv: Conv2d) -> usize {
        conv.o.next_multiple_of(LANES) * conv.patch()
    }

    /// Panels for the microkernel, of that many places of the window: `panels[o / 16][i, input][o %
    /// 16]` with the weights at `place(i)`.
    pub fn pack(&self, places: usize, place: impl Fn(usize) -> usize + Sync, panels: &mut [f32]) {
        let panel = (places * self.inputs * LANES).max(1);
        panels.par_chunks_mut(panel).enumerate().for_each(|(panel, out)| {
            let (out, _) = out.as_chunks_mut::<LANES>();
            for (i, out) in out.chunks_exact_mut(self.inputs).enumerate() {
                for (input, out) in out.iter_mut().enumerate() {
                    *out = self.lanes(panel * LANES, place(i), input);
                }
            }
        });
    }
}
