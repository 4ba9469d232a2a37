//! A zero-padded copy of some images, in which a window is R runs of S x C consecutive numbers.

use super::chunks::{CHUNK, images_per_task};
use crate::geometry::Conv2d;

/// The part of the input in one slab: `rows` output rows of each of `images` images; more than one
/// image only with all rows.
#[derive(Clone, Copy)]
pub struct Slab {
    /// Images.
    pub images: usize,
    /// Output rows of each.
    pub rows: usize,
}

impl Slab {
    /// The largest slab of a task.
    pub fn of(conv: Conv2d) -> Slab {
        let row = Slab::row(conv);
        let image = (conv.h + 2 * conv.padding) * row;
        if image <= CHUNK / 2 {
            return Slab {
                images: (CHUNK / 2 / image.max(1)).clamp(1, images_per_task(conv)),
                rows: conv.out_h(),
            };
        }
        let input_rows = (CHUNK / 2 / row).saturating_sub(conv.r);
        Slab { images: 1, rows: (input_rows / conv.stride + 1).min(conv.out_h()) }
    }

    /// Elements of an input row, zeros included.
    pub fn row(conv: Conv2d) -> usize {
        (conv.w + 2 * conv.padding) * conv.c
    }

    /// Input rows per image, zeros included.
    fn height(self, conv: Conv2d) -> usize {
        (self.rows - 1) * conv.stride + conv.r
    }

    /// Elements of the copy.
    pub fn elements(self, conv: Conv2d) -> usize {
        self.images * self.height(conv) * Slab::row(conv)
    }

    /// Where the window of each output pixel starts.
    pub fn windows(self, conv: Conv2d) -> impl Iterator<Item = usize> + Clone {
        let (row, step) = (Slab::row(conv) * conv.stride, conv.c * conv.stride);
        let image = self.height(conv) * Slab::row(conv);
        (0..self.images).flat_map(move |i| {
            (0..self.rows).flat_map(move |line| {
                (0..conv.out_w()).map(move |column| i * image + line * row + column * step)
            })
        })
    }

    /// Copies the input for the output rows from `first_row` on of the images from `first_image`
    /// on.
    pub fn fill(
        self,
        conv: Conv2d,
        x: &[f32],
        (first_image, first_row): (usize, usize),
        buffer: &mut [f32],
    ) {
        let Conv2d { h, w, c, padding, stride, .. } = conv;
        let height = self.height(conv);
        let rows = buffer.chunks_exact_mut(Slab::row(conv)).take(self.images * height);
        for (i, out) in rows.enumerate() {
            let inside = (first_row * stride + i % height).checked_sub(padding).filter(|&y| y < h);
            let Some(y) = inside else {
                out.fill(0.0);
                continue;
            };
            let start = ((first_image + i / height) * h + y) * w * c;
            let (left, rest) = out.split_at_mut(padding * c);
            let (middle, right) = rest.split_at_mut(w * c);
            left.fill(0.0);
            middle.copy_from_slice(&x[start..start + w * c]);
            right.fill(0.0);
        }
    }
}
