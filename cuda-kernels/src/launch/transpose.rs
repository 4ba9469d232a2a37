//! The transpose of a matrix.

use tensor::Slot;

use crate::Gpu;
use crate::gpu::BLOCK;

/// Rows and columns of a block's tile.
const SIDE: usize = 32;

/// y `[columns, rows]` from x `[rows, columns]`.
pub fn transpose(gpu: &mut Gpu, [rows, columns]: [usize; 2], x: Slot, y: Slot) {
    let tiles = rows.div_ceil(SIDE) * columns.div_ceil(SIDE);
    let call = gpu.kernel("transpose", "transpose").slots(&[x, y]);
    call.counts(&[rows, columns]).each_row(tiles, BLOCK);
}
