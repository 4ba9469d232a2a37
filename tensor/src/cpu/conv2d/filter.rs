//! The weights of a convolution, as they are or turned for the gradient by the input.

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
    turned: bool,
}

impl<'a> Filter<'a> {
    /// The weight `[O,R,S,C]` as it is.
    pub fn new(conv: Conv2d, weight: &'a [f32]) -> Filter<'a> {
        let Conv2d { o, r, s, c, .. } = conv;
        Filter { weight, outputs: o, window: r * s, inputs: c, turned: false }
    }

    /// Rotated by 180 degrees and with its channels swapped:
    /// `turned[c, R-1-r, S-1-s, o] = weight[o, r, s, c]`.
    pub fn turned(conv: Conv2d, weight: &'a [f32]) -> Filter<'a> {
        let Conv2d { o, r, s, c, .. } = conv;
        Filter { weight, outputs: c, window: r * s, inputs: o, turned: true }
    }

    /// The weights of [`LANES`] outputs from `first` on, at one place of the window and for one
    /// input; zeros beyond the last output.
    #[inline]
    pub fn lanes(&self, first: usize, place: usize, input: usize) -> [f32; LANES] {
        let (start, step) = if self.turned {
            (((input * self.window) + self.window - 1 - place) * self.outputs + first, 1)
        } else {
            ((first * self.window + place) * self.inputs + input, self.window * self.inputs)
        };
        let mut lanes = [0.0; LANES];
        let weights = self.weight[start..].iter().step_by(step);
        for (lane, weight) in lanes.iter_mut().zip(weights).take(self.outputs - first) {
            *lane = *weight;
        }
        lanes
    }

    /// Elements of [`Filter::pack`]'s result.
    pub fn packed(conv: Conv2d) -> usize {
        conv.o.next_multiple_of(LANES) * conv.patch()
    }

    /// Panels for the microkernel: `panels[o / 16][place, input][o % 16]`.
    pub fn pack(&self, panels: &mut [f32]) {
        let panel = self.window * self.inputs * LANES;
        panels.par_chunks_mut(panel).enumerate().for_each(|(panel, out)| {
            let (out, _) = out.as_chunks_mut::<LANES>();
            for (place, out) in out.chunks_exact_mut(self.inputs).enumerate() {
                for (input, out) in out.iter_mut().enumerate() {
                    *out = self.lanes(panel * LANES, place, input);
                }
            }
        });
    }
}
