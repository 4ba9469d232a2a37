//! The order of sums, for every reduction, as functions of shape alone.
//!
//! Additions of floating-point numbers do not commute with rounding, so the order is part of what a
//! kernel computes. The CPU's kernels and the GPU's (`cuda-kernels/kernels/*.cu`, which get these
//! numbers at their launch) both follow what is written here, and so end with the same bits. A chain
//! is a sum from 0 on, one number after the other. `docs/reproducibility.md` has all rules in a
//! table.

use crate::geometry::StreamingLoss;

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

/// Rows of a batch norm's group, a multiple of [`rows_at_once`]. Groups are a chain in f64; for the
/// variance, around the group's own mean and combined as by Chan, Golub and LeVeque.
pub fn group_rows(channels: usize) -> usize {
    (CHUNK / channels.max(1)).clamp(16, 1024).next_multiple_of(rows_at_once(channels))
}

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
