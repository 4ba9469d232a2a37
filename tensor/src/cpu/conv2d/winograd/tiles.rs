//! Where tiles lie in images: each is MxM pixels of the output and the TxT of the input that they
//! read, of which those beyond the edges are zero.

use std::ops::Range;

use isa::LANES;

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

    /// Output pixels in front of the tiles of its row, image by image and row by row.
    pub fn pixels_before(self, conv: Conv2d) -> usize {
        (self.image * conv.out_h() + self.row) * conv.out_w()
    }

    /// Its input in x `[N,H,W,C]`.
    #[inline(always)]
    pub fn input(self, conv: Conv2d) -> Pixels {
        let [row, column] = [self.row, self.column].map(|at| at as isize - conv.padding as isize);
        Pixels::of(input_size(conv), self.image, row, column)
    }

    /// Its output in y `[N,P,Q,O]`.
    #[inline(always)]
    pub fn output(self, conv: Conv2d) -> Pixels {
        Pixels::of(output_size(conv), self.image, self.row as isize, self.column as isize)
    }
}

/// Height, width and channels of the input.
#[inline(always)]
fn input_size(conv: Conv2d) -> [usize; 3] {
    [conv.h, conv.w, conv.c]
}

/// Height, width and channels of the output.
#[inline(always)]
fn output_size(conv: Conv2d) -> [usize; 3] {
    [conv.out_h(), conv.out_w(), conv.o]
}

/// The rows that these tiles read of x `[N,H,W,C]`, from the first to the last.
pub fn input_rows(conv: Conv2d, m: usize, tiles: Range<usize>, x: &[f32]) -> &[f32] {
    rows(conv, m, tiles, input_size(conv), x)
}

/// The rows that they have in y `[N,P,Q,O]`, likewise.
pub fn output_rows(conv: Conv2d, m: usize, tiles: Range<usize>, y: &[f32]) -> &[f32] {
    rows(conv, m, tiles, output_size(conv), y)
}

fn rows(
    conv: Conv2d,
    m: usize,
    tiles: Range<usize>,
    [height, width, channels]: [usize; 3],
    images: &[f32],
) -> &[f32] {
    let row = |tile: usize, more: usize| {
        let Tile { image, row, .. } = Tile::of(conv, m, tile);
        ((image * height + row + more) * width * channels).min(images.len())
    };
    &images[row(tiles.start, 0)..row(tiles.end, m + 1)]
}

/// The pixels of a tile in images, of which some may be outside.
pub struct Pixels {
    rows: Range<usize>,
    columns: Range<usize>,
    first: isize,
    row: usize,
    pixel: usize,
}

impl Pixels {
    /// From that pixel on, of images of `[height, width, channels]`.
    #[inline(always)]
    fn of([h, w, c]: [usize; 3], image: usize, row: isize, column: isize) -> Pixels {
        let inside = |first: isize, size: usize| {
            (-first).max(0) as usize..(size as isize - first).max(0) as usize
        };
        Pixels {
            rows: inside(row, h),
            columns: inside(column, w),
            first: (((image * h) as isize + row) * w as isize + column) * c as isize,
            row: w * c,
            pixel: c,
        }
    }

    /// Where the channels of pixel (i, j) start, if it is inside.
    #[inline(always)]
    pub fn at(&self, i: usize, j: usize) -> Option<usize> {
        let inside = self.rows.contains(&i) && self.columns.contains(&j);
        inside.then(|| self.first.wrapping_add_unsigned(i * self.row + j * self.pixel) as usize)
    }
}

/// Channels in whole panels.
pub fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}
