//! Colour to grey, as in Pillow.

use isa::{Isa, multiversion};

/// Luma of ITU-R 601 in 16-bit fixed point.
#[inline(always)]
pub fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
}

/// Sets every channel to the luma.
#[multiversion(Isa::preferred())]
pub fn greyscale(pixels: &mut [u8], channels: usize) {
    if channels == 3 {
        pixels.chunks_exact_mut(3).for_each(|pixel| pixel.fill(luma(pixel)));
    }
}
