//! The order of sums, for every reduction, as functions of shape alone.
//!
//! Additions of floating-point numbers do not commute with rounding, so the order is part of what a
//! kernel computes. The CPU's kernels and the GPU's (`cuda-kernels/kernels/*.cu`, which get these
//! numbers at their launch) both follow what is written here, and so end with the same bits. A chain
//! is a sum from 0 on, one number after the other. `docs/reproducibility.md` has all rules in a
//! table.

use crate::Shape;
use crate::geometry::{Conv2d, Gemm, StreamingLoss};

/// Elements of a chunk of a long sum, such as a norm. Chunks are added in f64, in a tree: the first
/// half of them, rounded down, plus the rest.
pub const CHUNK: usize = 16 * 1024;
/// Elements of a piece of a chunk; the pieces are a chain in f64.
pub const PIECE: usize = 1024;
/// Chains in f32 of a piece: the i-th element belongs to chain i modulo this. They are added to a
/// chain in f64.
pub const PIECE_LANES: usize = 16;
/// Chains in f64 of a chunk of LARS's |g + wd w|^2; they are a chain themselves.
pub const UPDATE_LANES: usize = 8;

/// Chains in f32 of a row's sum, maximum or scalar product (softmax, weight norm, losses): the i-th
/// element belongs to chain i modulo this. The chains are added pairwise: i and i + 16, i and i + 8,
/// .. i and i + 1.
pub const ROW_LANES: usize = 32;

/// Rows of a part of a sum over rows. A part is a chain for each column, and so are the parts.
pub fn part_rows(columns: usize) -> usize {
    (CHUNK / columns.max(1)).clamp(16, 1024)
}

/// Widest row of which several are summed at once, see [`rows_at_once`].
pub const WIDE: usize = 64;

/// Chains of a channel in a batch norm's group of rows: row i belongs to chain i modulo this, and
/// the chains are a chain. One for many channels, more for few.
pub fn rows_at_once(channels: usize) -> usize {
    (WIDE / channels.max(1)).max(1)
}

/// Rows of a batch norm's group, a multiple of [`rows_at_once`].
pub fn group_rows(channels: usize) -> usize {
    part_rows(channels).next_multiple_of(rows_at_once(channels))
}

/// Shape of a batch norm's sums: for each group and channel two numbers, such as mean and squares.
pub fn group_sums(rows: usize, channels: usize) -> Shape {
    Shape::from([rows.div_ceil(group_rows(channels)), 2, channels])
}

/// Chains in f64 of a batch norm's groups: the i-th group belongs to chain i modulo this, and the
/// chains are a chain.
pub const GROUP_CHAINS: usize = 32;

/// Elements that the tasks of [`streaming_tasks`] may take together: 16 MiB.
const STREAMING_BUDGET: usize = 4 * 1024 * 1024;
/// Most tasks of a streaming loss.
pub const STREAMING_TASKS: usize = 16;

/// Tasks that share the blocks of a streaming loss's partition: task t has blocks from
/// `t * blocks / tasks` up to `(t + 1) * blocks / tasks`. A task adds up its blocks' gradients by
/// the embeddings in order, and then the tasks are a chain. A power of two, so that two, four or
/// eight threads have equal shares.
pub fn streaming_tasks(sizes: StreamingLoss) -> usize {
    let StreamingLoss { loss, dim, .. } = sizes;
    let block = loss.partition_size * (loss.rows() + 2 * dim + 3);
    let fit = STREAMING_BUDGET / (block + loss.views * loss.batch * dim);
    let power = if fit == 0 { 1 } else { 1 << fit.ilog2() };
    power.clamp(4, STREAMING_TASKS).min(sizes.loss.blocks())
}

/// Parts of a sum over k or over images.
const PARTS: usize = 16;

/// Inner numbers of a chain of fused multiply-adds in a matrix product; the chains are a chain. Several
/// short ones lose fewer digits than a long one.
pub const PRODUCT_CHAIN: usize = 256;

/// Inner numbers of a part of a matrix product, all k if it is not split; the parts are a chain. There
/// are several only where k is large and C so small that its rows alone would not keep a processor
/// busy. A bias is added at the end.
pub fn inner_part(g: Gemm) -> usize {
    let is_worthwhile = g.flops() >= 1 << 19 && g.k >= 1024;
    if is_worthwhile && (g.m <= 48 || g.k >= 16 * g.m.max(g.n)) {
        return g.k.div_ceil(PARTS).max(PRODUCT_CHAIN);
    }
    g.k
}

/// Elements of all partial gradients by the weight together, unless two parts need more: 8 MiB.
const PARTIALS: usize = 2 * 1024 * 1024;

/// Most parts of a gradient by the weight, each with that many elements of its own.
fn most_parts(elements: usize) -> usize {
    (PARTIALS / elements.max(1)).clamp(2, PARTS)
}

/// Elements of sums of which a second copy costs more than threads that share them.
const SHARED: usize = 1024 * 1024;

/// Images of a part of a convolution's direct gradient by the weight; the parts are a chain.
pub fn direct_part_images(conv: Conv2d) -> usize {
    if conv.o * conv.patch() > SHARED {
        return conv.n;
    }
    conv.n.div_ceil(most_parts(conv.o * conv.patch()))
}

/// Elements of an input that stay in a core's cache.
const ELEMENTS: usize = 64 * 1024;

/// Images, and output rows of each, of a chain of fused multiply-adds in such a part: some whole
/// images, or some rows of one, as many as stay in a core's cache; more where the sums do not stay
/// there, so that they are read and written less often. The chains are a chain.
pub fn direct_chain(conv: Conv2d, part_images: usize) -> (usize, usize) {
    let elements = ELEMENTS * if conv.o * conv.patch() > KEPT { 8 } else { 1 };
    let row = (conv.w + 2 * conv.padding) * conv.c;
    let image = (conv.h + 2 * conv.padding) * row;
    if image <= elements {
        return ((elements / image.max(1)).clamp(1, part_images), conv.out_h());
    }
    let rows = (elements / row).saturating_sub(conv.r) / conv.stride + 1;
    (1, rows.min(conv.out_h()))
}

/// Tiles of a part, or the sum of the parts costs as much as they do.
const PART_TILES: usize = 96;

/// Elements of sums that stay in a core's cache while tiles are transformed.
const KEPT: usize = 256 * 1024;

/// Elements of the sums of Winograd's gradient by the weight, by F(MxM,3x3) with M = `side`.
fn winograd_sums(conv: Conv2d, side: usize) -> usize {
    (side + 2) * (side + 2) * conv.o * conv.c.next_multiple_of(16)
}

/// Tiles of a chain of fused multiply-adds in such a gradient, for each place; the chains are a chain.
/// With more, large sums are read and written less often.
pub fn winograd_chain_tiles(conv: Conv2d, side: usize) -> usize {
    32 * if winograd_sums(conv, side) > KEPT { 4 } else { 1 }
}

/// Images of a part of such a gradient, whose tiles are taken image by image and row by row; the parts
/// are a chain.
pub fn winograd_part_images(conv: Conv2d, side: usize) -> usize {
    let sums = winograd_sums(conv, side);
    if sums > SHARED {
        return conv.n;
    }
    let tiles: usize = conv.tiles(side).iter().product();
    let worthwhile = (conv.n * tiles / PART_TILES).max(1);
    // A power of two, so that threads get equal numbers of parts.
    conv.n.div_ceil(1 << most_parts(sums).min(worthwhile).ilog2())
}
