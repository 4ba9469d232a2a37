//! Some images with zeros around them, in which a window is R runs of S x C consecutive numbers: a copy
//! or, where there is no padding, the images themselves.

use std::ops::Range;

use isa::LANES;

use crate::geometry::Conv2d;
use crate::order::direct_chain;

/// A part of the input: what `rows` output rows of each of some images read; more
/// than one image only with all rows.
#[derive(Clone, Copy)]
pub struct Slab {
    /// First image.
    pub first_image: usize,
    /// Number of images.
    pub images: usize,
    /// First output row.
    pub first_row: usize,
    /// Number of output rows.
    pub rows: usize,
}

impl Slab {
    /// The largest slab of a task of that many images.
    pub fn largest(conv: Conv2d, images: usize) -> Slab {
        let (images, rows) = direct_chain(conv, images);
        Slab { first_image: 0, images, first_row: 0, rows }
    }

    /// Slabs of this size, the last ones smaller, for all rows of these images, in order.
    pub fn cover(self, conv: Conv2d, images: Range<usize>) -> impl Iterator<Item = Slab> {
        let (end, step) = (images.end, self.images);
        images.step_by(step).flat_map(move |first_image| {
            (0..conv.out_h()).step_by(self.rows).map(move |first_row| Slab {
                first_image,
                images: step.min(end - first_image),
                first_row,
                rows: self.rows.min(conv.out_h() - first_row),
            })
        })
    }

    /// Elements of an input row, zeros included.
    pub fn row(conv: Conv2d) -> usize {
        (conv.w + 2 * conv.padding) * conv.c
    }

    /// The images need not be copied. (Vectors would extend past the last of odd channels.)
    fn is_in_place(conv: Conv2d) -> bool {
        conv.padding == 0 && conv.c.is_multiple_of(LANES)
    }

    /// Elements from an image's part to the next.
    pub fn image(self, conv: Conv2d) -> usize {
        if Slab::is_in_place(conv) {
            return conv.h * Slab::row(conv);
        }
        ((self.rows - 1) * conv.stride + conv.r) * Slab::row(conv)
    }

    /// Elements of the copy.
    pub fn elements(self, conv: Conv2d) -> usize {
        if Slab::is_in_place(conv) {
            return 0;
        }
        self.images * self.image(conv)
    }

    /// Output pixels.
    pub fn pixels(self, conv: Conv2d) -> usize {
        self.images * self.rows * conv.out_w()
    }

    /// Where the window of each output pixel starts.
    pub fn windows(self, conv: Conv2d) -> impl Iterator<Item = usize> + Clone {
        let (row, step) = (Slab::row(conv) * conv.stride, conv.c * conv.stride);
        (0..self.images).flat_map(move |i| {
            (0..self.rows).flat_map(move |line| {
                let start = i * self.image(conv) + line * row;
                (0..conv.out_w()).map(move |column| start + column * step)
            })
        })
    }

    /// Its part of x `[N,H,W,C]`, if need be as a copy in the buffer.
    pub fn read<'a>(self, conv: Conv2d, x: &'a [f32], buffer: &'a mut [f32]) -> &'a [f32] {
        let Conv2d { h, w, c, padding, stride, .. } = conv;
        let row = Slab::row(conv);
        if Slab::is_in_place(conv) {
            return &x[(self.first_image * h + self.first_row * stride) * row..];
        }
        let images = buffer.chunks_exact_mut(self.image(conv)).take(self.images);
        for (image, part) in (self.first_image..).zip(images) {
            for (line, out) in (self.first_row * stride..).zip(part.chunks_exact_mut(row)) {
                let Some(y) = line.checked_sub(padding).filter(|&y| y < h) else {
                    out.fill(0.0);
                    continue;
                };
                let start = (image * h + y) * w * c;
                let (left, rest) = out.split_at_mut(padding * c);
                let (middle, right) = rest.split_at_mut(w * c);
                left.fill(0.0);
                middle.copy_from_slice(&x[start..start + w * c]);
                right.fill(0.0);
            }
        }
        buffer
    }
}
