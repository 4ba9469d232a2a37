//! Patches of rows of output pixels: what im2col would multiply, for comparison.

use tensor::geometry::Conv2d;

/// Image, row and column of output pixel `row`.
fn pixel(conv: Conv2d, row: usize) -> (usize, usize, usize) {
    let (p, q) = (conv.out_h(), conv.out_w());
    (row / (p * q), row / q % p, row % q)
}

/// For the window of output column `q`: the first column inside the image, the first position of
/// the window that is, and how many are. A window may lie wholly beside the image.
fn columns(conv: Conv2d, q: usize) -> (usize, usize, usize) {
    let start = q * conv.stride;
    let before = conv.padding.saturating_sub(start).min(conv.s);
    let first = (start + before).saturating_sub(conv.padding).min(conv.w);
    let inside = (conv.s - before).min(conv.w - first);
    (first, before, inside)
}

/// Row of the image that window row `r` of output row `p` reads, if it is inside.
fn image_row(conv: Conv2d, p: usize, r: usize) -> Option<usize> {
    (p * conv.stride + r).checked_sub(conv.padding).filter(|&h| h < conv.h)
}

/// Writes the patches `[rows, R*S*C]` of the output pixels from `first` on: for every row of the
/// window one run of memory, with zeros beyond the edge.
pub fn gather(conv: Conv2d, x: &[f32], first: usize, patches: &mut [f32]) {
    let Conv2d { h, w, c, s, .. } = conv;
    for (row, patch) in (first..).zip(patches.chunks_exact_mut(conv.patch())) {
        let (n, p, q) = pixel(conv, row);
        let (column, before, inside) = columns(conv, q);
        for (r, run) in patch.chunks_exact_mut(s * c).enumerate() {
            let Some(y) = image_row(conv, p, r) else {
                run.fill(0.0);
                continue;
            };
            let start = ((n * h + y) * w + column) * c;
            run[..before * c].fill(0.0);
            run[before * c..(before + inside) * c].copy_from_slice(&x[start..start + inside * c]);
            run[(before + inside) * c..].fill(0.0);
        }
    }
}
