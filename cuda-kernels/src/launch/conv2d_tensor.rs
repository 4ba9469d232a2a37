//! Convolution on tensor cores: see `kernels/conv2d_tensor.cu`.

use tensor::geometry::Conv2d;
use tensor::{Numerics, Slot};

use super::gemm;
use super::windows::{InputPhase, Windows, input_phases};
use crate::Gpu;
use crate::gpu::{blocks, in_fours};

const MODULE: &str = "conv2d_tensor";
const THREADS: u32 = 128;
/// Blocks that keep a GPU busy: two for each of an H100's 132 multiprocessors.
const BUSY: usize = 264;

/// A block's tile of the result.
#[derive(Clone, Copy)]
enum Tile {
    /// 128 x 128.
    Large,
    /// 128 x 64; of the gradient by the weight 64 x 128.
    Narrow,
    /// The same, where neighbours must be copied one by one.
    Words,
}

impl Tile {
    /// The tile for a result of `[m,n]`, narrow if it is or if there would be too few.
    fn of(m: usize, n: usize, in_fours: bool) -> Tile {
        match in_fours {
            false => Tile::Words,
            true if m.min(n) > 64 && m.div_ceil(128) * n.div_ceil(128) >= BUSY => Tile::Large,
            true => Tile::Narrow,
        }
    }

    /// Longer and shorter side.
    fn sides(self) -> (usize, usize) {
        match self {
            Tile::Large => (128, 128),
            Tile::Narrow | Tile::Words => (128, 64),
        }
    }
}

/// y.
pub fn forward(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot) {
    let in_fours = in_fours(&[conv.c, conv.o], &[x, weight, y]);
    let pixels = [conv.out_h(), conv.out_w(), 1, 0, 0];
    convolve(gpu, &Windows::of_x(conv), in_fours, conv.o, pixels, [x, weight, y]);
}

/// Elements of scratch memory for [`grad_input`]: the weights of a phase, turned.
pub fn grad_input_workspace(conv: Conv2d) -> usize {
    input_phases(conv).map(|phase| conv.c * phase.windows.taps).max().unwrap_or(0)
}

/// dx.
pub fn grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot, workspace: Slot) {
    const SIDE: usize = 32;
    let in_fours = in_fours(&[conv.c, conv.o], &[dy, workspace, dx]);
    for InputPhase { windows, phase, last_tap } in input_phases(conv) {
        let [.., across] = windows.divisors;
        let taps = windows.taps / conv.o;
        let counts = [conv.o, conv.c, across, taps, conv.s, last_tap, conv.stride, conv.patch()];
        let call = gpu.kernel(MODULE, "turn_weights").counts(&counts).slots(&[weight, workspace]);
        let grid = [blocks(conv.o, SIDE), blocks(conv.c, SIDE), blocks(taps, 1)];
        call.launch(grid, [SIDE as u32, 8, 1]);

        let [phase_h, phase_w] = phase;
        let pixels = [conv.h, conv.w, conv.stride, phase_h, phase_w];
        convolve(gpu, &windows, in_fours, conv.c, pixels, [dy, workspace, dx]);
    }
}

/// y `[pixels, columns]` = patches b^T; `pixels` says where the pixels lie in y (`Results` in the
/// source).
fn convolve(
    gpu: &mut Gpu,
    windows: &Windows,
    in_fours: bool,
    columns: usize,
    pixels: [usize; 5],
    slots: [Slot; 3],
) {
    const STAGES: usize = 3;
    const ROW_BYTES: usize = 128;
    let tile = Tile::of(windows.pixels, columns, in_fours);
    let kernel = match (gpu.numerics(), tile) {
        (Numerics::Bf16, Tile::Large) => "conv2d_bf16_128x128",
        (Numerics::Bf16, Tile::Narrow) => "conv2d_bf16_128x64",
        (Numerics::Bf16, Tile::Words) => "conv2d_bf16_words",
        (_, Tile::Large) => "conv2d_tf32_128x128",
        (_, Tile::Narrow) => "conv2d_tf32_128x64",
        (_, Tile::Words) => "conv2d_tf32_words",
    };
    let (m, n) = tile.sides();
    let call = windows.put(gpu.kernel(MODULE, kernel)).counts(&[columns]).counts(&pixels);
    let call = call.slots(&slots).shared((STAGES * (m + n) * ROW_BYTES) as u32);
    call.launch([blocks(windows.pixels, m), blocks(columns, n), 1], [THREADS, 1, 1]);
}

/// Tile of a gradient by the weight, and pixels of a part of its sum: as many parts as keep a GPU busy,
/// but not more than 16 MiB of them.
fn grad_weight_parts(conv: Conv2d, in_fours: bool) -> (Tile, usize) {
    const PARTIALS: usize = 4 << 20;
    const LEAST: usize = 256;
    let tile = match (in_fours, conv.o) {
        (false, _) => Tile::Words,
        (true, ..=64) => Tile::Narrow,
        (true, _) => Tile::Large,
    };
    let (n, m) = tile.sides();
    let tiles = conv.o.div_ceil(m) * conv.patch().div_ceil(n);
    let parts = (BUSY / tiles).min(PARTIALS / (conv.o * conv.patch())).max(1);
    (tile, conv.rows().div_ceil(parts).max(LEAST))
}

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    let partials = |in_fours| {
        let (_, part) = grad_weight_parts(conv, in_fours);
        conv.rows().div_ceil(part) * conv.o * conv.patch()
    };
    partials(false).max(partials(true))
}

/// dweight.
pub fn grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    const STAGES: usize = 4;
    const DEPTH: usize = 16;
    const PADS: usize = 16;
    let (tile, part) = grad_weight_parts(conv, in_fours(&[conv.c, conv.o], &[x, dy, workspace]));
    let kernel = match (gpu.numerics(), tile) {
        (Numerics::Bf16, Tile::Large) => "conv2d_grad_weight_bf16_128x128",
        (Numerics::Bf16, Tile::Narrow) => "conv2d_grad_weight_bf16_64x128",
        (Numerics::Bf16, Tile::Words) => "conv2d_grad_weight_bf16_words",
        (_, Tile::Large) => "conv2d_grad_weight_tf32_128x128",
        (_, Tile::Narrow) => "conv2d_grad_weight_tf32_64x128",
        (_, Tile::Words) => "conv2d_grad_weight_tf32_words",
    };
    let (n, m) = tile.sides();
    let parts = conv.rows().div_ceil(part);
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&[conv.o, part]);
    let call = call.slots(&[x, dy, workspace]).shared((STAGES * DEPTH * (m + n + PADS) * 4) as u32);
    let grid = [blocks(conv.o, m), blocks(conv.patch(), n), blocks(parts, 1)];
    call.launch(grid, [THREADS, 1, 1]);
    gemm::sum_parts(gpu, parts, workspace, None, dweight);
}
