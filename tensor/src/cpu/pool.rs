//! Pooling of channels-last images: max, average, and global average. Images are independent, so
//! each is one task.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use crate::geometry::Pool2d;

/// Rows or columns of the image that the window at output position `out` covers.
fn covered(pool: Pool2d, out: usize, size: usize) -> std::ops::Range<usize> {
    let start = out * pool.stride;
    let end = (start + pool.kernel).saturating_sub(pool.padding).min(size);
    start.saturating_sub(pool.padding)..end
}

fn image_lens(pool: Pool2d) -> (usize, usize) {
    (pool.h * pool.w * pool.c, pool.out_h() * pool.out_w() * pool.c)
}

/// y = the largest of each window; `argmax` = its pixel h*W+w, the first on a tie. NaN counts as
/// largest.
#[multiversion(isa)]
pub fn max_forward(isa: Isa, pool: Pool2d, x: &[f32], y: &mut [f32], argmax: &mut [u32]) {
    let (x_len, y_len) = image_lens(pool);
    let Pool2d { h, w, c, .. } = pool;
    y.par_chunks_mut(y_len).zip(argmax.par_chunks_mut(y_len)).zip(x.par_chunks(x_len)).for_each(
        |((y, argmax), x)| {
            let outputs = y.chunks_exact_mut(c).zip(argmax.chunks_exact_mut(c));
            for (place, (y, argmax)) in outputs.enumerate() {
                let (p, q) = (place / pool.out_w(), place % pool.out_w());
                y.fill(f32::NEG_INFINITY);
                argmax.fill((covered(pool, p, h).start * w + covered(pool, q, w).start) as u32);
                for row in covered(pool, p, h) {
                    for column in covered(pool, q, w) {
                        let pixel = row * w + column;
                        let x = &x[pixel * c..(pixel + 1) * c];
                        for ((y, at), &x) in y.iter_mut().zip(argmax.iter_mut()).zip(x) {
                            let wins = x > *y || x.is_nan();
                            *y = if wins { x } else { *y };
                            *at = if wins { pixel as u32 } else { *at };
                        }
                    }
                }
            }
        },
    );
}

/// dx = 0, then dy is added at each window's largest element.
#[multiversion(isa)]
pub fn max_backward(isa: Isa, pool: Pool2d, dy: &[f32], argmax: &[u32], dx: &mut [f32]) {
    let (x_len, y_len) = image_lens(pool);
    let c = pool.c;
    dx.par_chunks_mut(x_len).zip(dy.par_chunks(y_len)).zip(argmax.par_chunks(y_len)).for_each(
        |((dx, dy), argmax)| {
            dx.fill(0.0);
            for (dy, argmax) in dy.chunks_exact(c).zip(argmax.chunks_exact(c)) {
                for (channel, (dy, &pixel)) in dy.iter().zip(argmax).enumerate() {
                    dx[pixel as usize * c + channel] += dy;
                }
            }
        },
    );
}

/// y = the sum of each window / kernel^2, padding counted as zeros.
#[multiversion(isa)]
pub fn avg_forward(isa: Isa, pool: Pool2d, x: &[f32], y: &mut [f32]) {
    let (x_len, y_len) = image_lens(pool);
    let Pool2d { h, w, c, kernel, .. } = pool;
    let share = 1.0 / (kernel * kernel) as f32;
    y.par_chunks_mut(y_len).zip(x.par_chunks(x_len)).for_each(|(y, x)| {
        for (place, y) in y.chunks_exact_mut(c).enumerate() {
            let (p, q) = (place / pool.out_w(), place % pool.out_w());
            y.fill(0.0);
            for row in covered(pool, p, h) {
                for column in covered(pool, q, w) {
                    let x = &x[(row * w + column) * c..][..c];
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                }
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
}

/// dx = the sum of dy / kernel^2 over the windows that cover a pixel.
#[multiversion(isa)]
pub fn avg_backward(isa: Isa, pool: Pool2d, dy: &[f32], dx: &mut [f32]) {
    let (x_len, y_len) = image_lens(pool);
    let Pool2d { h, w, c, kernel, .. } = pool;
    let share = 1.0 / (kernel * kernel) as f32;
    dx.par_chunks_mut(x_len).zip(dy.par_chunks(y_len)).for_each(|(dx, dy)| {
        dx.fill(0.0);
        for (place, dy) in dy.chunks_exact(c).enumerate() {
            let (p, q) = (place / pool.out_w(), place % pool.out_w());
            for row in covered(pool, p, h) {
                for column in covered(pool, q, w) {
                    let dx = &mut dx[(row * w + column) * c..][..c];
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += share * dy);
                }
            }
        }
    });
}

/// `[n, pixels, C]` to the mean over the pixels, `[n, C]`.
#[multiversion(isa)]
pub fn global_avg_forward(isa: Isa, n: usize, pixels: usize, x: &[f32], y: &mut [f32]) {
    let c = y.len() / n.max(1);
    let share = 1.0 / pixels as f32;
    y.par_chunks_mut(c).zip(x.par_chunks(pixels * c)).for_each(|(y, x)| {
        y.fill(0.0);
        for x in x.chunks_exact(c) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
        }
        y.iter_mut().for_each(|y| *y *= share);
    });
}

/// dx = dy / pixels at every pixel.
#[multiversion(isa)]
pub fn global_avg_backward(isa: Isa, n: usize, pixels: usize, dy: &[f32], dx: &mut [f32]) {
    let c = dy.len() / n.max(1);
    let share = 1.0 / pixels as f32;
    dx.par_chunks_mut(pixels * c).zip(dy.par_chunks(c)).for_each(|(dx, dy)| {
        for dx in dx.chunks_exact_mut(c) {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = share * dy);
        }
    });
}
