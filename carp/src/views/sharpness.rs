//! Sharpening and smoothing of 8-bit images, as Pillow's `ImageEnhance.Sharpness`.

use isa::{Isa, multiversion};

use super::colour::blend;

/// Blends with the image smoothed by the weights 1 around 5, of which the outermost pixels stay as they
/// are; a factor of 0 is the smooth image, 1 the image itself.
#[multiversion(Isa::preferred())]
pub fn adjust_sharpness(
    pixels: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    factor: f32,
    scratch: &mut Vec<u8>,
) {
    scratch.clear();
    scratch.extend_from_slice(pixels);
    let source = &scratch[..];
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for channel in 0..channels {
                let at =
                    |y: usize, x: usize| u32::from(source[(y * width + x) * channels + channel]);
                let around: u32 =
                    (y - 1..=y + 1).map(|y| (x - 1..=x + 1).map(|x| at(y, x)).sum::<u32>()).sum();
                let sum = around + 4 * at(y, x);
                // A thirteenth, rounded.
                let smooth = ((2 * sum + 13) / 26) as u8;
                let value = &mut pixels[(y * width + x) * channels + channel];
                *value = blend(smooth, *value, factor);
            }
        }
    }
}
