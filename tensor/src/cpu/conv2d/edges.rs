//! Which places of a window lie inside the image. On the smallest maps many do not: of the nine of a 3x3
//! window on 2x2 pixels, five. There the products with zeros are left out.

use std::ops::Range;

use crate::geometry::Conv2d;

/// Rows or columns of a convolution.
#[derive(Clone, Copy)]
pub struct Axis {
    image: usize,
    window: usize,
    outputs: usize,
    stride: usize,
    padding: usize,
}

impl Axis {
    /// Rows and columns.
    pub fn both(conv: Conv2d) -> [Axis; 2] {
        let Conv2d { h, w, r, s, stride, padding, .. } = conv;
        [(h, r, conv.out_h()), (w, s, conv.out_w())].map(|(image, window, outputs)| Axis {
            image,
            window,
            outputs,
            stride,
            padding,
        })
    }

    /// Places of an output's window that are inside the image; the window may not lie wholly outside.
    pub fn places(self, output: usize) -> Range<usize> {
        let start = output * self.stride;
        self.padding.saturating_sub(start)..(self.image + self.padding - start).min(self.window)
    }

    /// Outputs in whose windows this place is inside the image.
    pub fn outputs(self, place: usize) -> Range<usize> {
        let start = self.padding.saturating_sub(place).div_ceil(self.stride);
        let end = (self.image + self.padding).saturating_sub(place).div_ceil(self.stride);
        let end = end.min(self.outputs);
        if start < end { start..end } else { 0..0 }
    }

    /// Places inside the image, of all windows together.
    fn inside(self) -> usize {
        (0..self.outputs).map(|output| self.places(output).len()).sum()
    }
}

/// A quarter of the products or more are with zeros around the image.
pub fn is_mostly_edge(conv: Conv2d) -> bool {
    let [rows, columns] = Axis::both(conv);
    let all = conv.out_h() * conv.out_w() * conv.r * conv.s;
    conv.padding < conv.r.min(conv.s) && 4 * rows.inside() * columns.inside() <= 3 * all
}
