//! Convolution as implicit GEMM: see `kernels/conv2d.cu` for the matrices.

use tensor::Slot;
use tensor::geometry::Conv2d;

use super::gemm::{self, Tile};
use crate::Gpu;
use crate::driver::{Arg, Launch};

const MODULE: &str = "conv2d";

/// See [`Backend::conv2d`](tensor::Backend::conv2d).
pub fn conv2d(gpu: &mut Gpu, conv: Conv2d, x: Slot, weight: Slot, y: Slot, _workspace: Slot) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_64x16", Tile::Tall),
        _ => ("conv2d_64x64", Tile::Square),
    };
    let pointers = [gpu.pointer(x), gpu.pointer(weight), gpu.pointer(y)];
    let args = [&windows_of_x(conv)[..], &[Arg::Count(conv.o)], &pointers];
    launch(gpu, kernel, tile, tile.grid(conv.rows(), conv.o, 1), &args.concat());
}

/// See [`Backend::conv2d_workspace`](tensor::Backend::conv2d_workspace).
pub fn conv2d_workspace(_conv: Conv2d) -> usize {
    0
}

/// See [`Backend::conv2d_grad_input`](tensor::Backend::conv2d_grad_input).
pub fn conv2d_grad_input(
    gpu: &mut Gpu,
    conv: Conv2d,
    dy: Slot,
    weight: Slot,
    dx: Slot,
    _workspace: Slot,
) {
    let (kernel, tile) = match conv.c {
        ..=16 => ("conv2d_grad_input_64x16", Tile::Tall),
        _ => ("conv2d_grad_input_64x64", Tile::Square),
    };
    let pointers = [gpu.pointer(dy), gpu.pointer(weight), gpu.pointer(dx)];
    for phase_h in 0..conv.stride.min(conv.h) {
        for phase_w in 0..conv.stride.min(conv.w) {
            let down = Phase::new(conv, phase_h, conv.h, conv.r);
            let across = Phase::new(conv, phase_w, conv.w, conv.s);
            let pixels = conv.n * down.pixels * across.pixels;
            let windows = Windows {
                pixels,
                taps: down.taps * across.taps * conv.o,
                height: conv.out_h(),
                width: conv.out_w(),
                stride: 1,
                shift: (down.shift as i32, across.shift as i32),
                pq: down.pixels * across.pixels,
                q: across.pixels,
                channels: conv.o,
                taps_across: across.taps,
            };
            let sizes = [
                Arg::Count(conv.h),
                Arg::Count(conv.w),
                Arg::Count(conv.c),
                Arg::Count(phase_h),
                Arg::Count(phase_w),
                Arg::Count(conv.s),
                Arg::Count(down.first_tap * conv.s + across.first_tap),
                Arg::Count(conv.stride),
                Arg::Count(conv.patch()),
            ];
            let args = [&windows.args()[..], &sizes, &pointers].concat();
            launch(gpu, kernel, tile, tile.grid(pixels, conv.c, 1), &args);
        }
    }
}

/// See [`Backend::conv2d_grad_input_workspace`](tensor::Backend::conv2d_grad_input_workspace).
pub fn conv2d_grad_input_workspace(_conv: Conv2d) -> usize {
    0
}

/// See [`Backend::conv2d_grad_weight`](tensor::Backend::conv2d_grad_weight).
pub fn conv2d_grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    x: Slot,
    dy: Slot,
    dweight: Slot,
    workspace: Slot,
) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_grad_weight_16x64", Tile::Wide),
        _ => ("conv2d_grad_weight_64x64", Tile::Square),
    };
    let part = gemm::part(tile, conv.o, conv.patch(), conv.rows());
    let parts = conv.rows().div_ceil(part.max(1)).max(1);
    let out = if parts > 1 { workspace } else { dweight };
    let pointers = [gpu.pointer(x), gpu.pointer(dy), gpu.pointer(out)];
    let sizes = [Arg::Count(conv.o), Arg::Count(part)];
    let args = [&windows_of_x(conv)[..], &sizes, &pointers].concat();
    launch(gpu, kernel, tile, tile.grid(conv.o, conv.patch(), parts), &args);
    if parts > 1 {
        gemm::sum_parts(gpu, parts, workspace, dweight);
    }
}

/// See [`Backend::conv2d_grad_weight_workspace`](tensor::Backend::conv2d_grad_weight_workspace).
pub fn conv2d_grad_weight_workspace(conv: Conv2d) -> usize {
    let tile = if conv.o <= 16 { Tile::Wide } else { Tile::Square };
    let part = gemm::part(tile, conv.o, conv.patch(), conv.rows());
    let parts = conv.rows().div_ceil(part.max(1));
    if parts > 1 { parts * conv.o * conv.patch() } else { 0 }
}

fn launch(gpu: &mut Gpu, kernel: &'static str, tile: Tile, grid: [u32; 3], args: &[Arg]) {
    let block = [tile.threads(), 1, 1];
    gpu.launch(Launch { module: MODULE, kernel, grid, block, shared_bytes: 0, args });
}

/// In one direction, the pixels of x whose index is `phase` modulo the stride.
struct Phase {
    /// How many there are.
    pixels: usize,
    /// The first tap through which an output sees them, and how many there are.
    first_tap: usize,
    taps: usize,
    /// Pixel h' of them is tap 0's pixel h' + shift of dy.
    shift: usize,
}

impl Phase {
    fn new(conv: Conv2d, phase: usize, size: usize, kernel: usize) -> Phase {
        let first_tap = (phase + conv.padding) % conv.stride;
        Phase {
            pixels: (size - phase).div_ceil(conv.stride),
            first_tap,
            taps: kernel.saturating_sub(first_tap).div_ceil(conv.stride),
            shift: (phase + conv.padding - first_tap) / conv.stride,
        }
    }
}

/// A matrix of patches: the fields of `Windows` in `kernels/conv2d.cu`.
struct Windows {
    pixels: usize,
    taps: usize,
    height: usize,
    width: usize,
    stride: usize,
    shift: (i32, i32),
    pq: usize,
    q: usize,
    channels: usize,
    taps_across: usize,
}

impl Windows {
    fn args(&self) -> Vec<Arg> {
        let mut args = vec![
            Arg::Count(self.pixels),
            Arg::Count(self.taps),
            Arg::Count(self.height),
            Arg::Count(self.width),
            Arg::Count(self.stride),
            Arg::U32(self.shift.0.cast_unsigned()),
            Arg::U32(self.shift.1.cast_unsigned()),
        ];
        for d in [self.pq, self.q, self.channels, self.taps_across] {
            args.extend(divisor(d));
        }
        args
    }
}

fn windows_of_x(conv: Conv2d) -> Vec<Arg> {
    let shift = -(conv.padding as i32);
    Windows {
        pixels: conv.rows(),
        taps: conv.patch(),
        height: conv.h,
        width: conv.w,
        stride: conv.stride,
        shift: (shift, shift),
        pq: conv.out_h() * conv.out_w(),
        q: conv.out_w(),
        channels: conv.c,
        taps_across: conv.s,
    }
    .args()
}

/// A divisor with the constants of its division: see `Divisor` in `kernels/conv2d.cu`. One of 0
/// divides nothing; it is passed as 1.
fn divisor(d: usize) -> [Arg; 3] {
    let d = d.max(1) as u64;
    let shift = d.next_power_of_two().ilog2();
    let magic = ((1u64 << 32) * ((1u64 << shift) - d)) / d + 1;
    [Arg::Count(d as usize), Arg::U32(magic as u32), Arg::U32(shift)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_by_multiplication_is_exact() {
        let numbers = [0, 1, 2, 3, 5, 6, 7, 31, 32, 48, 49, 147, 255, 12_543, 12_544, 65_537];
        for d in numbers.into_iter().skip(1).chain([1_000_003, (1 << 31) - 1]) {
            let [_, Arg::U32(magic), Arg::U32(shift)] = divisor(d) else { unreachable!() };
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
