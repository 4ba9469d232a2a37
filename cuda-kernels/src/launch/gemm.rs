//! Matrix products: which tile, and into how many parts the inner size is cut. Both depend on the
//! shape alone, so the same data always gives the same bits.

use tensor::Slot;
use tensor::geometry::Gemm;

use crate::Gpu;
use crate::driver::{Arg, Launch};
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "gemm";
/// Blocks that keep a card busy: two for each of an H100's 132 multiprocessors.
const BUSY: usize = 264;
/// The inner size that a part should have at least: sums of parts are traffic too.
const MIN_PART: usize = 256;

/// The kernels by their tile of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// 128 x 128 by 256 threads: half the traffic of 64 x 64.
    Large,
    /// 64 x 64 by 256 threads.
    Square,
    /// 64 x 16 by 64 threads.
    Tall,
    /// 16 x 64 by 64 threads.
    Wide,
}

impl Tile {
    /// The tile for a C of `[m,n]`: narrow ones where a square would be mostly empty, large ones
    /// where there are enough of them.
    pub fn of(m: usize, n: usize) -> Tile {
        let large = m.div_ceil(128) * n.div_ceil(128);
        match (m, n) {
            (_, ..=16) => Tile::Tall,
            (..=16, _) => Tile::Wide,
            (128.., 128..) if large >= BUSY / 2 => Tile::Large,
            _ => Tile::Square,
        }
    }

    fn kernel(self) -> &'static str {
        match self {
            Tile::Large => "gemm_128x128",
            Tile::Square => "gemm_64x64",
            Tile::Tall => "gemm_64x16",
            Tile::Wide => "gemm_16x64",
        }
    }

    /// Rows and columns.
    pub fn sides(self) -> (usize, usize) {
        match self {
            Tile::Large => (128, 128),
            Tile::Square => (64, 64),
            Tile::Tall => (64, 16),
            Tile::Wide => (16, 64),
        }
    }

    /// Threads of a block.
    pub fn threads(self) -> u32 {
        match self {
            Tile::Large | Tile::Square => 256,
            Tile::Tall | Tile::Wide => 64,
        }
    }

    /// Tiles of a C of `[m,n]` along x and y, and parts along z.
    pub fn grid(self, m: usize, n: usize, parts: usize) -> [u32; 3] {
        let (rows, columns) = self.sides();
        [blocks(m, rows), blocks(n, columns), blocks(parts, 1)]
    }
}

/// The length of the parts that the inner size `k` is cut into, a multiple of 16, for a C of
/// `[m,n]`; `k` itself where it stays whole.
pub fn part(tile: Tile, m: usize, n: usize, k: usize) -> usize {
    let (rows, columns) = tile.sides();
    let tiles = m.div_ceil(rows) * n.div_ceil(columns);
    let parts = (BUSY / tiles.max(1)).min(k / MIN_PART);
    if parts < 2 { k } else { k.div_ceil(parts).next_multiple_of(16) }
}

/// See [`Backend::gemm`](tensor::Backend::gemm).
pub fn gemm(gpu: &mut Gpu, gemm: Gemm, a: Slot, b: Slot, c: Slot, workspace: Slot) {
    let Gemm { m, n, k, .. } = gemm;
    let tile = Tile::of(m, n);
    let part = part(tile, m, n, k);
    let parts = k.div_ceil(part.max(1)).max(1);
    let out = if parts > 1 { workspace } else { c };
    let sizes = [Arg::Count(m), Arg::Count(n), Arg::Count(k), Arg::Count(part)];
    let args = [&sizes[..], &steps(gemm), &[gpu.pointer(a), gpu.pointer(b), gpu.pointer(out)]];
    gpu.launch(Launch {
        module: MODULE,
        kernel: tile.kernel(),
        grid: tile.grid(m, n, parts),
        block: [tile.threads(), 1, 1],
        shared_bytes: 0,
        args: &args.concat(),
    });
    if parts > 1 {
        sum_parts(gpu, parts, workspace, c);
    }
}

/// See [`Backend::gemm_workspace`](tensor::Backend::gemm_workspace).
pub fn gemm_workspace(gemm: Gemm) -> usize {
    let Gemm { m, n, k, .. } = gemm;
    let parts = k.div_ceil(part(Tile::of(m, n), m, n, k).max(1));
    if parts > 1 { parts * m * n } else { 0 }
}

/// c = the sum of `parts` matrices that lie one after the other, in order.
pub fn sum_parts(gpu: &mut Gpu, parts: usize, x: Slot, c: Slot) {
    let args = [Arg::Count(parts), Arg::Count(c.len), gpu.pointer(x), gpu.pointer(c)];
    gpu.launch_elements(MODULE, "gemm_sum_parts", c.len, &args);
}

/// C = op(A) op(B), one thread per element of C: to measure and check the others against.
pub fn gemm_naive(gpu: &mut Gpu, gemm: Gemm, a: Slot, b: Slot, c: Slot) {
    let sizes = [Arg::Count(gemm.m), Arg::Count(gemm.n), Arg::Count(gemm.k)];
    let args = [&sizes[..], &steps(gemm), &[gpu.pointer(a), gpu.pointer(b), gpu.pointer(c)]];
    let side = BLOCK.isqrt();
    gpu.launch(Launch {
        module: MODULE,
        kernel: "gemm_naive",
        grid: [blocks(gemm.n, side as usize), blocks(gemm.m, side as usize), 1],
        block: [side, side, 1],
        shared_bytes: 0,
        args: &args.concat(),
    });
}

/// C = op(A) op(B) on tensor cores: A and B are rounded to bf16, sums are f32.
pub fn gemm_bf16(gpu: &mut Gpu, gemm: Gemm, a: Slot, b: Slot, c: Slot) {
    let sizes = [Arg::Count(gemm.m), Arg::Count(gemm.n), Arg::Count(gemm.k)];
    let args = [&sizes[..], &steps(gemm), &[gpu.pointer(a), gpu.pointer(b), gpu.pointer(c)]];
    gpu.launch(Launch {
        module: "gemm_bf16",
        kernel: "gemm_bf16",
        grid: Tile::Square.grid(gemm.m, gemm.n, 1),
        block: [128, 1, 1],
        shared_bytes: 0,
        args: &args.concat(),
    });
}

/// From a row to the next and from a column to the next, of op(A) and of op(B).
fn steps(gemm: Gemm) -> [Arg; 4] {
    let Gemm { m, n, k, trans_a, trans_b } = gemm;
    let (a_row, a_column) = if trans_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if trans_b { (1, k) } else { (n, 1) };
    [Arg::Count(a_row), Arg::Count(a_column), Arg::Count(b_row), Arg::Count(b_column)]
}
