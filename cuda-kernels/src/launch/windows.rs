//! The matrix of patches that a convolution reads in place (see `kernels/conv2d.cu`).

use tensor::geometry::Conv2d;

use crate::gpu::Call;

/// A matrix of patches: the fields of `Windows` in `kernels/windows.cuh`.
pub struct Windows {
    pub pixels: usize,
    pub taps: usize,
    height: usize,
    width: usize,
    stride: usize,
    /// Down and across.
    shift: [i32; 2],
    /// Pixels of an image, pixels of a row, channels, taps across.
    pub divisors: [usize; 4],
}

impl Windows {
    /// Of x, with a row for each output pixel.
    pub fn of_x(conv: Conv2d) -> Windows {
        Windows {
            pixels: conv.rows(),
            taps: conv.patch(),
            height: conv.h,
            width: conv.w,
            stride: conv.stride,
            shift: [-(conv.padding as i32); 2],
            divisors: [conv.out_h() * conv.out_w(), conv.out_w(), conv.c, conv.s],
        }
    }

    /// Adds them to the arguments of a launch.
    pub fn put<'a>(&self, call: Call<'a>) -> Call<'a> {
        let call = call.divided(&[self.pixels, self.taps, self.height, self.width, self.stride]);
        let call = call.words(&self.shift.map(i32::cast_unsigned));
        self.divisors.iter().fold(call, |call, &d| call.words(&divisor(d)))
    }
}

/// A phase of a gradient by input: the pixels of x with these indices modulo the stride, which share
/// their taps.
pub struct InputPhase {
    /// Of dy, with a row for each of the pixels.
    pub windows: Windows,
    /// Down and across.
    pub phase: [usize; 2],
    /// Index r S + s of the last tap that covers them.
    pub last_tap: usize,
}

/// All phases of a gradient by input.
pub fn input_phases(conv: Conv2d) -> impl Iterator<Item = InputPhase> {
    let (phases_h, phases_w) = (conv.stride.min(conv.h), conv.stride.min(conv.w));
    (0..phases_h * phases_w).map(move |i| {
        let phase = [i / phases_w, i % phases_w];
        let down = Phase::new(conv, phase[0], conv.h, conv.r);
        let across = Phase::new(conv, phase[1], conv.w, conv.s);
        let windows = Windows {
            pixels: conv.n * down.pixels * across.pixels,
            taps: down.taps * across.taps * conv.o,
            height: conv.out_h(),
            width: conv.out_w(),
            stride: 1,
            shift: [down.shift, across.shift],
            divisors: [down.pixels * across.pixels, across.pixels, conv.o, across.taps],
        };
        InputPhase { windows, phase, last_tap: down.last_tap * conv.s + across.last_tap }
    })
}

/// In one direction, the pixels of x with index `phase` modulo the stride.
struct Phase {
    /// Number of pixels.
    pixels: usize,
    /// The last tap that covers them, and the number of taps.
    last_tap: usize,
    taps: usize,
    /// For that tap, their pixel h' corresponds to pixel h' + shift of dy.
    shift: i32,
}

impl Phase {
    fn new(conv: Conv2d, phase: usize, size: usize, kernel: usize) -> Phase {
        let first_tap = (phase + conv.padding) % conv.stride;
        let taps = kernel.saturating_sub(first_tap).div_ceil(conv.stride);
        let first_shift = (phase + conv.padding - first_tap) / conv.stride;
        let steps = taps.saturating_sub(1);
        Phase {
            pixels: (size - phase).div_ceil(conv.stride),
            last_tap: first_tap + steps * conv.stride,
            taps,
            shift: first_shift as i32 - steps as i32,
        }
    }
}

/// A divisor with its precomputed constants: see `Divisor` in `kernels/windows.cuh`. An unused 0 is
/// passed as 1.
fn divisor(d: usize) -> [u32; 3] {
    let d = d.max(1) as u64;
    let shift = d.next_power_of_two().ilog2();
    let magic = ((1u64 << 32) * ((1u64 << shift) - d)) / d + 1;
    [d as u32, magic as u32, shift]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_multiplication_is_exact() {
        let numbers = [0, 1, 2, 3, 5, 6, 7, 31, 32, 48, 49, 147, 255, 12_543, 12_544, 65_537];
        for d in numbers.into_iter().skip(1).chain([1_000_003, (1 << 31) - 1]) {
            let [_, magic, shift] = divisor(d);
            let multiples =
                (0..50).map(|i| i * d as u64).chain([(1u64 << 31) / d as u64 * d as u64]);
            let around = multiples.flat_map(|n| [n.saturating_sub(1), n, n + 1]);
            for n in around.chain(numbers.map(|n| n as u64)).filter(|n| *n < 1 << 31) {
                let high = (n * u64::from(magic)) >> 32;
                assert_eq!((high + n) >> shift, n / d as u64, "{n} / {d}");
            }
        }
    }
}
