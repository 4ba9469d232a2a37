//! Where the tiles of a slab lie: each is 2x2 pixels of the output and the 4x4 of the input that
//! they read.

use crate::cpu::conv2d::chunks::images_per_task;
use crate::cpu::conv2d::slab::Slab;
use crate::cpu::microkernel::LANES;
use crate::geometry::Conv2d;

/// Products per tile.
pub const PLACES: usize = 16;
/// Tiles that are worked on at a time: few, to stay in L2, and whole tiles of every microkernel.
pub const BLOCK: usize = 48;

/// A tile.
#[derive(Clone, Copy, Default)]
pub struct Tile {
    /// Where its input starts in the slab.
    pub input: usize,
    /// Its first pixel among those of the slab's output.
    pub output: usize,
    /// Its rows inside the output: 2, or 1 at an odd end.
    pub rows: usize,
    /// Its columns inside the output.
    pub columns: usize,
}

impl Tile {
    /// Where the channels of its pixel (i, j) start, if that is inside the output.
    #[inline(always)]
    pub fn pixel(self, conv: Conv2d, i: usize, j: usize) -> Option<usize> {
        let inside = i < self.rows && j < self.columns;
        inside.then(|| (self.output + i * conv.out_w() + j) * conv.o)
    }
}

/// Calls `f` for each block of a slab's tiles, image by image and row by row.
pub fn blocks(conv: Conv2d, slab: Slab, mut f: impl FnMut(&[Tile])) {
    let mut tiles = tiles(conv, slab);
    let mut block = [Tile::default(); BLOCK];
    loop {
        let count = block.iter_mut().zip(&mut tiles).map(|(to, tile)| *to = tile).count();
        if count == 0 {
            return;
        }
        f(&block[..count]);
    }
}

fn tiles(conv: Conv2d, slab: Slab) -> impl Iterator<Item = Tile> {
    let (row, q) = (Slab::row(conv), conv.out_w());
    (0..slab.images).flat_map(move |image| {
        (0..slab.rows).step_by(2).flat_map(move |line| {
            (0..q).step_by(2).map(move |column| Tile {
                input: image * slab.image(conv) + line * row + column * conv.c,
                output: (image * slab.rows + line) * q + column,
                rows: (slab.rows - line).min(2),
                columns: (q - column).min(2),
            })
        })
    })
}

/// Tiles of an image.
pub fn tiles_per_image(conv: Conv2d) -> usize {
    conv.out_h().div_ceil(2) * conv.out_w().div_ceil(2)
}

/// Images of a task: at least a block's, or it reads the filters for too little work.
pub fn images_of_task(conv: Conv2d) -> usize {
    images_per_task(conv).max(BLOCK.div_ceil(tiles_per_image(conv)))
}

/// The largest slab of a task of that many images: at least a block's, where images are small.
pub fn largest_slab(conv: Conv2d, images: usize) -> Slab {
    let slab = Slab::largest(conv, images);
    if slab.rows < conv.out_h() {
        return slab;
    }
    let block = BLOCK.div_ceil(tiles_per_image(conv)).min(images);
    Slab { images: slab.images.max(block), ..slab }
}

/// Elements of a slab's buffer. At an odd end, tiles read beyond the slab what only outputs outside
/// the image depend on.
pub fn slab_elements(conv: Conv2d, slab: Slab) -> usize {
    slab.elements(conv) + 2 * Slab::row(conv)
}

/// Fills a slab's buffer.
pub fn fill(conv: Conv2d, slab: Slab, x: &[f32], buffer: &mut [f32]) {
    slab.fill(conv, x, buffer);
    buffer[slab.elements(conv)..].fill(0.0);
}

/// Channels in whole panels.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}
