//! Where tiles lie in images: each is MxM pixels of the output and the TxT of the input that they
//! read, of which those beyond the edges are zero.

use crate::cpu::microkernel::LANES;
use crate::geometry::Conv2d;

/// A tile.
#[derive(Clone, Copy)]
pub struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

impl Tile {
    /// Tiles of MxM outputs in an image.
    pub fn per_image(conv: Conv2d, m: usize) -> usize {
        conv.tiles(m).iter().product()
    }

    /// The tile of that number, image by image and row by row.
    #[inline(always)]
    pub fn of(conv: Conv2d, m: usize, number: usize) -> Tile {
        let [rows, columns] = conv.tiles(m);
        let (row, column) = (number / columns % rows * m, number % columns * m);
        Tile { image: number / (rows * columns), row, column }
    }

    /// Where the channels of pixel (i, j) of its input start in x `[N,H,W,C]`, if it is inside.
    #[inline(always)]
    pub fn input(self, conv: Conv2d, i: usize, j: usize) -> Option<usize> {
        let row = (self.row + i).wrapping_sub(conv.padding);
        let column = (self.column + j).wrapping_sub(conv.padding);
        let inside = row < conv.h && column < conv.w;
        inside.then(|| ((self.image * conv.h + row) * conv.w + column) * conv.c)
    }

    /// Where the channels of pixel (i, j) of its output start in y `[N,P,Q,O]`, if it is inside.
    #[inline(always)]
    pub fn output(self, conv: Conv2d, i: usize, j: usize) -> Option<usize> {
        let (row, column) = (self.row + i, self.column + j);
        let inside = row < conv.out_h() && column < conv.out_w();
        inside.then(|| ((self.image * conv.out_h() + row) * conv.out_w() + column) * conv.o)
    }
}

/// Channels in whole panels.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}
