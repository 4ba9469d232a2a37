//! Matrix products: the tile depends only on the shape, as does the split of the inner size, which
//! [`tensor::order`] fixes.

use tensor::Slot;
use tensor::geometry::Gemm;
use tensor::order::{PRODUCT_CHAIN, inner_part};

use crate::Gpu;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "gemm";
/// Large tiles to keep a GPU busy: one for each of an H100's 132 multiprocessors.
const BUSY: usize = 132;

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
    /// The tile for a C of `[m,n]`: narrow if a square would be mostly empty, large if there are
    /// enough of them.
    pub fn of(m: usize, n: usize) -> Tile {
        let large = m.div_ceil(128) * n.div_ceil(128);
        match (m, n) {
            (_, ..=16) => Tile::Tall,
            (..=16, _) => Tile::Wide,
            (128.., 128..) if large >= BUSY => Tile::Large,
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
    fn sides(self) -> (usize, usize) {
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

/// Number of parts of length `part` of a sum over `k`; at least one.
fn parts(k: usize, part: usize) -> usize {
    k.div_ceil(part.max(1)).max(1)
}

/// Elements of scratch memory for [`gemm`]: the products of all parts, if there are several.
pub fn workspace(gemm: Gemm) -> usize {
    let parts = parts(gemm.k, inner_part(gemm));
    if parts > 1 { parts * gemm.m * gemm.n } else { 0 }
}

/// C = op(A) op(B), plus the bias in every row.
pub fn gemm(
    gpu: &mut Gpu,
    gemm: Gemm,
    factors: [Slot; 2],
    bias: Option<Slot>,
    c: Slot,
    workspace: Slot,
) {
    let Gemm { m, n, k, .. } = gemm;
    let tile = Tile::of(m, n);
    let part = inner_part(gemm);
    let parts = parts(k, part);
    if parts == 1 {
        return gemm_parts(gpu, gemm, tile, k, factors, bias, c);
    }
    gemm_parts(gpu, gemm, tile, part, factors, None, workspace);
    sum_parts(gpu, parts, workspace, bias, c);
}

/// The products over parts of length `part`, consecutive `[m,n]` matrices in `c`, by tiles of one
/// shape.
pub fn gemm_parts(
    gpu: &mut Gpu,
    gemm: Gemm,
    tile: Tile,
    part: usize,
    factors: [Slot; 2],
    bias: Option<Slot>,
    c: Slot,
) {
    let Gemm { m, n, k, .. } = gemm;
    let call = gpu.kernel(MODULE, tile.kernel()).divided(&[m, n, k, part, PRODUCT_CHAIN]);
    let call = call.counts(&steps(gemm));
    let call = call.slots(&factors).optional(bias).slots(&[c]);
    call.launch(tile.grid(m, n, parts(k, part)), [tile.threads(), 1, 1]);
}

/// c = the ordered sum of `parts` consecutive matrices, plus the bias in every row.
pub fn sum_parts(gpu: &mut Gpu, parts: usize, x: Slot, bias: Option<Slot>, c: Slot) {
    let columns = bias.map_or(c.len, |bias| bias.len);
    let call = gpu.kernel(MODULE, "gemm_sum_parts").counts(&[parts, c.len, columns]);
    call.slots(&[x]).optional(bias).slots(&[c]).each_element(c.len);
}

/// C = op(A) op(B), one thread per element of C: a baseline to measure and check the others
/// against.
pub fn gemm_naive(gpu: &mut Gpu, gemm: Gemm, [a, b]: [Slot; 2], c: Slot) {
    let Gemm { m, n, k, .. } = gemm;
    let side = BLOCK.isqrt();
    let call = gpu.kernel(MODULE, "gemm_naive").counts(&[m, n, k]).counts(&steps(gemm));
    let grid = [blocks(n, side as usize), blocks(m, side as usize), 1];
    call.slots(&[a, b, c]).launch(grid, [side, side, 1]);
}

/// Row and column strides of op(A) and op(B).
fn steps(gemm: Gemm) -> [usize; 4] {
    let Gemm { m, n, k, trans_a, trans_b } = gemm;
    let (a_row, a_column) = if trans_a { (1, m) } else { (k, 1) };
    let (b_row, b_column) = if trans_b { (1, k) } else { (n, 1) };
    [a_row, a_column, b_row, b_column]
}
