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

/// Taps of a slab, and columns to whose multiple weights are padded.
const SLAB: usize = 32;
const PADDED: usize = 128;
/// Most stages, and taps down and across, of the kernels for whole slabs.
const MOST_STAGES: usize = 256;
const MOST_TAPS: usize = 32;

/// The kernels of a precision, and how they copy panels: `Packed` in the source.
struct Precision {
    pack: &'static str,
    turn: &'static str,
    large: &'static str,
    narrow: &'static str,
    fours: &'static str,
    words: &'static str,
    /// Slabs of a stage, stages in shared memory, and bytes of a column in a slab.
    slabs: usize,
    stages: usize,
    column_bytes: usize,
}

const TF32: Precision = Precision {
    pack: "pack_weights_tf32",
    turn: "turn_weights_tf32",
    large: "conv2d_tf32_128x128",
    narrow: "conv2d_tf32_128x64",
    fours: "conv2d_tf32_fours",
    words: "conv2d_tf32_words",
    slabs: 1,
    stages: 3,
    column_bytes: 4 * SLAB,
};

const BF16: Precision = Precision {
    pack: "pack_weights_bf16",
    turn: "turn_weights_bf16",
    large: "conv2d_bf16_128x128",
    narrow: "conv2d_bf16_128x64",
    fours: "conv2d_bf16_fours",
    words: "conv2d_bf16_words",
    slabs: 2,
    stages: 2,
    column_bytes: 2 * SLAB,
};

/// The kernels for what is not exact.
fn precision(numerics: Numerics) -> &'static Precision {
    if numerics == Numerics::Bf16 { &BF16 } else { &TF32 }
}

impl Precision {
    /// Taps of a stage.
    fn depth(&self) -> usize {
        self.slabs * SLAB
    }

    /// Slabs of packed weights: those of whole stages.
    fn slabs_of(&self, taps: usize) -> usize {
        taps.div_ceil(self.depth()) * self.slabs
    }

    /// Elements (of 4 bytes) of packed weights.
    fn packed(&self, taps: usize, columns: usize) -> usize {
        self.slabs_of(taps) * columns.next_multiple_of(PADDED) * self.column_bytes / 4
    }

    /// Blocks that pack weights.
    fn packing_grid(&self, taps: usize, columns: usize) -> [u32; 3] {
        [blocks(self.slabs_of(taps), 1), blocks(columns.next_multiple_of(PADDED), SLAB), 1]
    }

    /// The kernel for a result of so many columns, and its tile.
    fn kernel(
        &self,
        windows: &Windows,
        columns: usize,
        in_fours: bool,
    ) -> (&'static str, [usize; 2]) {
        let channels = windows.divisors[2];
        let whole = channels.is_multiple_of(self.depth())
            && windows.taps / channels.max(1) <= MOST_TAPS
            && windows.taps / self.depth() <= MOST_STAGES;
        let tiles = windows.pixels.div_ceil(128) * columns.div_ceil(128);
        match (in_fours, whole) {
            (false, _) => (self.words, [128, 64]),
            (true, false) => (self.fours, [128, 64]),
            (true, true) if columns > 64 && tiles >= BUSY => (self.large, [128, 128]),
            (true, true) => (self.narrow, [128, 64]),
        }
    }
}

/// Threads of a block that packs weights.
const PACKERS: [u32; 3] = [SLAB as u32, 8, 1];

/// Elements of scratch memory for [`forward`]: the weights, packed.
pub fn forward_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    precision(numerics).packed(conv.patch(), conv.o)
}

/// y.
pub fn forward(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot, workspace: Slot) {
    let precision = precision(gpu.numerics());
    let counts = [conv.patch(), conv.o, conv.o.next_multiple_of(PADDED)];
    let call = gpu.kernel(MODULE, precision.pack).counts(&counts).slots(&[weight, workspace]);
    call.launch(precision.packing_grid(conv.patch(), conv.o), PACKERS);

    let in_fours = in_fours(&[conv.c, conv.o], &[x, y]);
    let pixels = [conv.out_h(), conv.out_w(), 1, 0, 0];
    convolve(gpu, &Windows::of_x(conv), in_fours, conv.o, pixels, [x, workspace, y]);
}

/// Elements of scratch memory for [`grad_input`]: the weights of a phase, turned.
pub fn grad_input_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    let packed = |phase: InputPhase| precision(numerics).packed(phase.windows.taps, conv.c);
    input_phases(conv).map(packed).max().unwrap_or(0)
}

/// dx.
pub fn grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot, workspace: Slot) {
    let in_fours = in_fours(&[conv.c, conv.o], &[dy, dx]);
    let precision = precision(gpu.numerics());
    for InputPhase { windows, phase, last_tap } in input_phases(conv) {
        let [.., across] = windows.divisors;
        let counts = [conv.o, conv.c, across, windows.taps, conv.s, last_tap, conv.stride];
        let call = gpu.kernel(MODULE, precision.turn).counts(&counts);
        let call = call.counts(&[conv.patch(), conv.c.next_multiple_of(PADDED)]);
        let call = call.slots(&[weight, workspace]);
        call.launch(precision.packing_grid(windows.taps, conv.c), PACKERS);

        let [phase_h, phase_w] = phase;
        let pixels = [conv.h, conv.w, conv.stride, phase_h, phase_w];
        convolve(gpu, &windows, in_fours, conv.c, pixels, [dy, workspace, dx]);
    }
}

/// y `[pixels, columns]` = patches b^T with b packed; `pixels` says where the pixels lie in y (`Results`
/// in the source).
fn convolve(
    gpu: &mut Gpu,
    windows: &Windows,
    in_fours: bool,
    columns: usize,
    pixels: [usize; 5],
    slots: [Slot; 3],
) {
    const ROW_BYTES: usize = 4 * SLAB;
    let precision = precision(gpu.numerics());
    let (kernel, [m, n]) = precision.kernel(windows, columns, in_fours);
    let slab_bytes = m * ROW_BYTES + n * precision.column_bytes;
    let call = windows.put(gpu.kernel(MODULE, kernel));
    let call = call.counts(&[columns, columns.next_multiple_of(PADDED)]).counts(&pixels);
    let call = call.slots(&slots).shared((precision.stages * precision.slabs * slab_bytes) as u32);
    call.launch([blocks(windows.pixels, m), blocks(columns, n), 1], [THREADS, 1, 1]);
}

/// A tile of a gradient by the weight.
#[derive(Clone, Copy)]
enum Tile {
    /// 128 x 128.
    Large,
    /// 64 x 128.
    Narrow,
    /// The same, where neighbours must be copied one by one.
    Words,
}

impl Tile {
    /// Longer and shorter side.
    fn sides(self) -> (usize, usize) {
        match self {
            Tile::Large => (128, 128),
            Tile::Narrow | Tile::Words => (128, 64),
        }
    }
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
