//! Convolution on tensor cores: see `kernels/conv2d_tensor.cu`.

use tensor::arena::DType;
use tensor::geometry::Conv2d;
use tensor::{Numerics, Slot};

use super::gemm;
use super::windows::{InputPhase, Windows, input_phases};
use crate::Gpu;
use crate::gpu::{WARP, blocks, in_fours};

const MODULE: &str = "conv2d_tensor";
const THREADS: u32 = 128;
/// Blocks that keep a GPU busy: two for each of an H100's 132 multiprocessors.
const BUSY: usize = 264;

/// Rows of every tile of a result: a group of batch norm's sums.
pub const TILE_ROWS: usize = 128;

/// Columns to whose multiple weights are padded.
const PADDED: usize = 128;
/// Most stages, and taps down and across, of the kernels for whole slabs.
const MOST_STAGES: usize = 256;
const MOST_TAPS: usize = 32;

/// The kernels of a precision, and how they copy panels: `Packed` in the source.
struct Precision {
    pack: &'static str,
    turn: &'static str,
    /// Those for whole slabs of channels: tiles of 128 x 128 and of 128 x 64.
    whole: [&'static str; 2],
    /// For neighbours in groups of 16 bytes, and one by one.
    chunks: &'static str,
    words: &'static str,
    /// Taps of a slab, slabs of a stage, stages in shared memory, and bytes of a column in a slab.
    slab: usize,
    slabs: usize,
    stages: usize,
    column_bytes: usize,
}

const TF32: Precision = Precision {
    pack: "pack_weights_tf32",
    turn: "turn_weights_tf32",
    whole: ["conv2d_tf32_128x128", "conv2d_tf32_128x64"],
    chunks: "conv2d_tf32_fours",
    words: "conv2d_tf32_words",
    slab: 32,
    slabs: 1,
    stages: 3,
    column_bytes: 128,
};

/// bf16 of images that are f32 in memory.
const ROUNDED: Precision = Precision {
    pack: "pack_weights_rounded",
    turn: "turn_weights_rounded",
    whole: ["conv2d_rounded_128x128", "conv2d_rounded_128x64"],
    chunks: "conv2d_rounded_fours",
    words: "conv2d_rounded_words",
    slab: 32,
    slabs: 2,
    stages: 2,
    column_bytes: 64,
};

const BF16: Precision = Precision {
    pack: "pack_weights_bf16",
    turn: "turn_weights_bf16",
    whole: ["conv2d_bf16_128x128", "conv2d_bf16_128x64"],
    chunks: "conv2d_bf16_eights",
    words: "conv2d_bf16_eights",
    slab: 64,
    slabs: 1,
    stages: 3,
    column_bytes: 128,
};

/// The kernels for what is not exact, and for images of this type.
fn precision(numerics: Numerics, dtype: DType) -> &'static Precision {
    match (numerics, dtype) {
        (Numerics::Bf16, DType::Bf16) => &BF16,
        (Numerics::Bf16, _) => &ROUNDED,
        _ => &TF32,
    }
}

impl Precision {
    /// Taps of a stage.
    fn depth(&self) -> usize {
        self.slabs * self.slab
    }

    /// Elements (of 4 bytes) of packed weights: of whole stages.
    fn packed(&self, taps: usize, columns: usize) -> usize {
        let slabs = taps.div_ceil(self.depth()) * self.slabs;
        slabs * columns.next_multiple_of(PADDED) * self.column_bytes / 4
    }

    /// Blocks that pack weights.
    fn packing_grid(&self, taps: usize, columns: usize) -> [u32; 3] {
        let taps = taps.next_multiple_of(self.depth());
        [blocks(taps, WARP), blocks(columns.next_multiple_of(PADDED), WARP), 1]
    }

    /// The kernel for a result of so many columns, and its tile.
    fn kernel(
        &self,
        windows: &Windows,
        columns: usize,
        in_chunks: bool,
    ) -> (&'static str, [usize; 2]) {
        let channels = windows.divisors[2];
        let is_whole = channels.is_multiple_of(self.depth())
            && windows.taps / channels.max(1) <= MOST_TAPS
            && windows.taps / self.depth() <= MOST_STAGES;
        let tiles = windows.pixels.div_ceil(TILE_ROWS) * columns.div_ceil(128);
        let [large, narrow] = self.whole;
        match (in_chunks, is_whole) {
            (false, _) => (self.words, [TILE_ROWS, 64]),
            (true, false) => (self.chunks, [TILE_ROWS, 64]),
            (true, true) if columns > 64 && tiles >= BUSY => (large, [TILE_ROWS, 128]),
            (true, true) => (narrow, [TILE_ROWS, 64]),
        }
    }
}

/// Threads of a block that packs weights.
const PACKERS: [u32; 3] = [WARP as u32, 8, 1];

/// Elements of packed weights, whatever images are in memory.
fn most_packed(numerics: Numerics, taps: usize, columns: usize) -> usize {
    let packed = |dtype| precision(numerics, dtype).packed(taps, columns);
    packed(DType::F32).max(packed(DType::Bf16))
}

/// Elements of scratch memory for [`forward`]: the weights, packed.
pub fn forward_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    most_packed(numerics, conv.patch(), conv.o)
}

/// What a gradient by the input goes through, and batch norm's sums of it: see
/// [`tensor::Kernel::Conv2dGradInputSums`].
#[derive(Clone, Copy)]
pub struct Behind {
    /// What the batch norm reads.
    pub x: Slot,
    /// Its result, with ReLU.
    pub y: Option<Slot>,
    /// Of x.
    pub mean: Slot,
    /// Another gradient of y.
    pub added: Option<Slot>,
    /// `[groups,2,C]`.
    pub sums: Slot,
}

/// Groups of the sums of a gradient by the input: the tiles of its phases.
pub fn gradient_groups(conv: Conv2d) -> usize {
    input_phases(conv).map(|phase| phase.windows.pixels.div_ceil(TILE_ROWS)).sum()
}

/// y, and batch norm's sums of each [`TILE_ROWS`] of its rows if they are asked for.
pub fn forward(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, weight]: [Slot; 2],
    y: Slot,
    sums: Option<Slot>,
    workspace: Slot,
) {
    pack(gpu, conv, x.dtype, weight, workspace);
    forward_packed(gpu, conv, [x, workspace], y, sums);
}

/// The weights of [`forward_packed`] for images of this type.
pub fn pack(gpu: &mut Gpu, conv: Conv2d, images: DType, weight: Slot, packed: Slot) {
    let precision = precision(gpu.numerics(), images);
    let counts = [conv.patch(), conv.o, conv.o.next_multiple_of(PADDED)];
    let call = gpu.kernel(MODULE, precision.pack).counts(&counts).slots(&[weight, packed]);
    call.launch(precision.packing_grid(conv.patch(), conv.o), PACKERS);
}

/// As [`forward`], from weights that are packed.
pub fn forward_packed(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, packed]: [Slot; 2],
    y: Slot,
    sums: Option<Slot>,
) {
    let in_fours = in_fours(&[conv.c, conv.o], &[x, y]);
    let pixels = [conv.out_h(), conv.out_w(), 1, 0, 0];
    let windows = Windows::of_x(conv);
    convolve(gpu, &windows, in_fours, conv.o, pixels, [x, packed, y], (sums, None));
}

/// Elements of scratch memory for [`grad_input`]: the weights of a phase, turned.
pub fn grad_input_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    let packed = |phase: InputPhase| most_packed(numerics, phase.windows.taps, conv.c);
    input_phases(conv).map(packed).max().unwrap_or(0)
}

/// dx, or what that is behind batch norm.
pub fn grad_input(
    gpu: &mut Gpu,
    conv: Conv2d,
    [dy, weight]: [Slot; 2],
    dx: Slot,
    behind: Option<Behind>,
    workspace: Slot,
) {
    let mut slots = vec![dy, dx];
    slots.extend(behind.iter().flat_map(|behind| [behind.x, behind.y.unwrap_or(behind.x)]));
    slots.extend(behind.and_then(|behind| behind.added));
    let in_fours = in_fours(&[conv.c, conv.o], &slots);
    let mut sums = behind.map(|behind| behind.sums);
    let precision = precision(gpu.numerics(), dy.dtype);
    for InputPhase { windows, phase, last_tap } in input_phases(conv) {
        let [.., across] = windows.divisors;
        let counts = [conv.o, conv.c, across, windows.taps, conv.s, last_tap, conv.stride];
        let call = gpu.kernel(MODULE, precision.turn).counts(&counts);
        let call = call.counts(&[conv.patch(), conv.c.next_multiple_of(PADDED)]);
        let call = call.slots(&[weight, workspace]);
        call.launch(precision.packing_grid(windows.taps, conv.c), PACKERS);

        let [phase_h, phase_w] = phase;
        let pixels = [conv.h, conv.w, conv.stride, phase_h, phase_w];
        convolve(gpu, &windows, in_fours, conv.c, pixels, [dy, workspace, dx], (sums, behind));
        // The next phase's groups.
        let first = windows.pixels.div_ceil(TILE_ROWS) * 2 * conv.c;
        sums = sums.map(|sums| sums.part(first, sums.len - first));
    }
}

/// y `[pixels, columns]` = patches b^T with b packed; `pixels` says where the pixels lie in y (`Results`
/// in the source). And `sums` if there are any, of what is `behind` or of y.
fn convolve(
    gpu: &mut Gpu,
    windows: &Windows,
    in_fours: bool,
    columns: usize,
    pixels: [usize; 5],
    slots: [Slot; 3],
    (sums, behind): (Option<Slot>, Option<Behind>),
) {
    const ROW_BYTES: usize = 128;
    let [x, _, y] = slots;
    let precision = precision(gpu.numerics(), x.dtype);
    let (kernel, [m, n]) = precision.kernel(windows, columns, in_fours);
    let slab_bytes = m * ROW_BYTES + n * precision.column_bytes;
    let call = windows.put(gpu.kernel(MODULE, kernel));
    let call = call.counts(&[columns, columns.next_multiple_of(PADDED)]).counts(&pixels);
    let call = call.words(&[u32::from(y.dtype == DType::Bf16)]);
    let call = call.slots(&slots).optional(sums).optional(behind.map(|behind| behind.x));
    let call = call.optional(behind.and_then(|behind| behind.y));
    let call = call.optional(behind.and_then(|behind| behind.added));
    let call = call.optional(behind.map(|behind| behind.mean));
    let call = call.shared((precision.stages * precision.slabs * slab_bytes) as u32);
    call.launch([blocks(windows.pixels, m), blocks(columns, n), 1], [THREADS, 1, 1]);
}

/// How a gradient by the weight is computed.
struct GradWeight {
    kernel: &'static str,
    /// Outputs and taps of a tile.
    tile: [usize; 2],
    /// Bytes of shared memory.
    shared: usize,
}

impl GradWeight {
    /// That of x and dy in these types, which lie in whole groups of 16 bytes or not.
    fn of(conv: Conv2d, numerics: Numerics, [x, dy]: [DType; 2], in_fours: bool) -> GradWeight {
        let m = if in_fours && conv.o > 64 { 128 } else { 64 };
        let n = 128;
        // Of f32 and of dy in bf16, with their padding; of bf16, swizzled.
        let padded = 4 * 16 * 4 * (m + 8 + n + 8);
        let stem = 4 * 16 * (2 * (64 + 32) + 4 * (n + 8));
        let turned = 3 * 64 * 2 * (m + n);
        let (kernel, m, shared) = match (numerics == Numerics::Bf16, x, dy) {
            (true, DType::Bf16, _) if !conv.c.is_multiple_of(64) => {
                ("conv2d_grad_weight_bf16_eights", 64, 3 * 64 * 2 * (64 + n))
            }
            (true, DType::Bf16, _) if m == 64 => ("conv2d_grad_weight_bf16_64x128", m, turned),
            (true, DType::Bf16, _) => ("conv2d_grad_weight_bf16_128x128", m, turned),
            (true, _, DType::Bf16) => ("conv2d_grad_weight_rounded_stem", 64, stem),
            (true, ..) if !in_fours => ("conv2d_grad_weight_rounded_words", m, padded),
            (true, ..) if m == 64 => ("conv2d_grad_weight_rounded_64x128", m, padded),
            (true, ..) => ("conv2d_grad_weight_rounded_128x128", m, padded),
            (false, ..) if !in_fours => ("conv2d_grad_weight_tf32_words", m, padded),
            (false, ..) if m == 64 => ("conv2d_grad_weight_tf32_64x128", m, padded),
            (false, ..) => ("conv2d_grad_weight_tf32_128x128", m, padded),
        };
        GradWeight { kernel, tile: [m, n], shared }
    }
}

/// Pixels of a part of the sum: as many parts as keep a GPU busy, but not more than 16 MiB of them.
fn part(conv: Conv2d, [m, n]: [usize; 2]) -> usize {
    const PARTIALS: usize = 4 << 20;
    const LEAST: usize = 256;
    let tiles = conv.o.div_ceil(m) * conv.patch().div_ceil(n);
    let parts = (BUSY / tiles).min(PARTIALS / (conv.o * conv.patch())).max(1);
    conv.rows().div_ceil(parts).max(LEAST)
}

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    let parts = [64, 128].map(|m| conv.rows().div_ceil(part(conv, [m, 128])));
    parts[0].max(parts[1]) * conv.o * conv.patch()
}

/// dweight.
pub fn grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    let parts = grad_weight_parts(gpu, conv, [x, dy], workspace);
    gemm::sum_parts(gpu, parts, workspace, None, dweight);
}

/// The terms of dweight, one after the other, and how many there are.
pub fn grad_weight_parts(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    workspace: Slot,
) -> usize {
    let in_fours = in_fours(&[conv.c, conv.o], &[x, dy, workspace]);
    let GradWeight { kernel, tile: [m, n], shared } =
        GradWeight::of(conv, gpu.numerics(), [x.dtype, dy.dtype], in_fours);
    let part = part(conv, [m, n]);
    let parts = conv.rows().div_ceil(part);
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&[conv.o, part]);
    let call = call.slots(&[x, dy, workspace]).shared(shared as u32);
    let grid = [blocks(conv.o, m), blocks(conv.patch(), n), blocks(parts, 1)];
    call.launch(grid, [THREADS, 1, 1]);
    parts
}
