//! Convolution: as a plain product, as implicit GEMM (see `kernels/conv2d.cu` for the matrices), or by
//! Winograd's algorithm.

use tensor::Slot;
use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::order::{direct_chain, direct_part_images};

use super::gemm::{self, Tile};
use super::winograd::{self, Winograd};
use crate::Gpu;
use crate::gpu::Call;

const MODULE: &str = "conv2d";

/// Elements of scratch memory for [`forward`].
pub fn forward_workspace(conv: Conv2d) -> usize {
    if let Some([product, ..]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    winograd(conv).map_or(0, |winograd| winograd.workspace())
}

/// y.
pub fn forward(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot, workspace: Slot) {
    if let Some([product, ..]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [x, weight], None, y, workspace);
    }
    match winograd(conv) {
        Some(winograd) => winograd.convolve(gpu, [x, weight], false, y, workspace),
        None => direct(gpu, conv, [x, weight], y),
    }
}

/// The convolution by Winograd's algorithm, if that is its own.
fn winograd(conv: Conv2d) -> Option<Winograd> {
    let names = match conv.algorithm {
        ConvAlgorithm::Direct => return None,
        ConvAlgorithm::Winograd2 => winograd::F2,
        ConvAlgorithm::Winograd4 => winograd::F4,
    };
    Some(Winograd { conv, names, budget: winograd::BUDGET })
}

fn direct(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_64x16", Tile::Tall),
        _ => ("conv2d_64x64", Tile::Square),
    };
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&[conv.o]);
    let grid = tile.grid(conv.rows(), conv.o, 1);
    call.slots(&[x, weight, y]).launch(grid, [tile.threads(), 1, 1]);
}

/// Elements of scratch memory for [`grad_input`].
pub fn grad_input_workspace(conv: Conv2d) -> usize {
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    conv.turned().and_then(winograd).map_or(0, |winograd| winograd.workspace())
}

/// dx.
pub fn grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot, workspace: Slot) {
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [dy, weight], None, dx, workspace);
    }
    match conv.turned().and_then(winograd) {
        Some(winograd) => winograd.convolve(gpu, [dy, weight], true, dx, workspace),
        None => direct_grad_input(gpu, conv, [dy, weight], dx),
    }
}

/// One launch per class of pixels modulo the stride, which share their taps.
fn direct_grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot) {
    let (kernel, tile) = match conv.c {
        ..=16 => ("conv2d_grad_input_64x16", Tile::Tall),
        _ => ("conv2d_grad_input_64x64", Tile::Square),
    };
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
                shift: [down.shift, across.shift],
                divisors: [down.pixels * across.pixels, across.pixels, conv.o, across.taps],
            };
            let last_tap = down.last_tap * conv.s + across.last_tap;
            let image = [conv.h, conv.w, conv.c, phase_h, phase_w];
            let call = windows.put(gpu.kernel(MODULE, kernel)).counts(&image);
            let call = call.counts(&[conv.s, last_tap, conv.stride, conv.patch()]);
            let grid = tile.grid(pixels, conv.c, 1);
            call.slots(&[dy, weight, dx]).launch(grid, [tile.threads(), 1, 1]);
        }
    }
}

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    let of_direct = || conv.n.div_ceil(direct_part_images(conv)) * conv.o * conv.patch();
    winograd(conv).map_or_else(of_direct, |winograd| winograd.grad_weight_workspace())
}

/// dweight.
pub fn grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [dy, x], None, dweight, workspace);
    }
    match winograd(conv) {
        Some(winograd) => winograd.grad_weight(gpu, [x, dy], dweight, workspace),
        None => direct_grad_weight(gpu, conv, [x, dy], dweight, workspace),
    }
}

fn direct_grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_grad_weight_16x64", Tile::Wide),
        _ => ("conv2d_grad_weight_64x64", Tile::Square),
    };
    let images = direct_part_images(conv);
    let parts = conv.n.div_ceil(images);
    let (p, q) = (conv.out_h(), conv.out_w());
    let (chain_images, chain_rows) = direct_chain(conv, images);
    let counts = [conv.o, images * p * q, chain_images * p * q, chain_images * chain_rows * q];
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&counts);
    let grid = tile.grid(conv.o, conv.patch(), parts);
    call.slots(&[x, dy, workspace]).launch(grid, [tile.threads(), 1, 1]);
    gemm::sum_parts(gpu, parts, workspace, None, dweight);
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

/// A matrix of patches: the fields of `Windows` in `kernels/conv2d.cu`.
struct Windows {
    pixels: usize,
    taps: usize,
    height: usize,
    width: usize,
    stride: usize,
    /// Down and across.
    shift: [i32; 2],
    /// Pixels of an image, pixels of a row, channels, taps across.
    divisors: [usize; 4],
}

impl Windows {
    fn of_x(conv: Conv2d) -> Windows {
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
    fn put<'a>(&self, call: Call<'a>) -> Call<'a> {
        let call = call.counts(&[self.pixels, self.taps, self.height, self.width, self.stride]);
        let call = call.words(&self.shift.map(i32::cast_unsigned));
        self.divisors.iter().fold(call, |call, &d| call.words(&divisor(d)))
    }
}

/// A divisor with its precomputed constants: see `Divisor` in `kernels/conv2d.cu`. An unused 0 is
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
