//! Colour transformations on 8-bit pixels, as in Pillow and torchvision. Saturation, hue and
//! greyscale do nothing to grey images (one channel).

use datasets::luma;
use isa::{Isa, multiversion};

/// `from + factor (to - from)`, clamped to 0..255 and rounded towards zero: Pillow's `Image.blend`.
#[inline(always)]
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    byte((from + factor * (to - from)).clamp(0.0, 255.0))
}

/// A number of 0 to 255 rounded towards zero, by its place in the sum with 2^23: unlike `as`, this is
/// vectorised.
#[inline(always)]
fn byte(x: f32) -> u8 {
    (x.floor() + (1 << 23) as f32).to_bits() as u8
}

/// Blends with one grey, by table.
#[inline(always)]
fn blend_from(grey: u8, pixels: &mut [u8], factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(grey, value as u8, factor));
    pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Blends with black.
#[multiversion(Isa::preferred())]
pub fn adjust_brightness(pixels: &mut [u8], factor: f32) {
    blend_from(0, pixels, factor);
}

/// Blends with the image's mean luma.
#[multiversion(Isa::preferred())]
pub fn adjust_contrast(pixels: &mut [u8], channels: usize, factor: f32) {
    let sum: u64 = match channels {
        1 => pixels.iter().map(|&value| u64::from(value)).sum(),
        _ => pixels.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum(),
    };
    let count = (pixels.len() / channels) as f64;
    let mean = (sum as f64 / count + 0.5) as u8;
    blend_from(mean, pixels, factor);
}

/// Blends each pixel with its luma.
#[multiversion(Isa::preferred())]
pub fn adjust_saturation(pixels: &mut [u8], channels: usize, factor: f32) {
    if channels == 3 {
        map_colours(pixels, |colour| {
            let grey = luma(&colour);
            colour.map(|value| blend(grey, value, factor))
        });
    }
}

/// Turns the hue by `factor` of a full circle, -0.5 to 0.5.
#[multiversion(Isa::preferred())]
pub fn adjust_hue(pixels: &mut [u8], channels: usize, factor: f32) {
    if channels == 3 {
        // Towards zero, then modulo 256: a negative shift wraps around the circle.
        let shift = (f64::from(factor) * 255.0) as i32 as u8;
        map_colours(pixels, |colour| {
            let [h, s, v] = rgb_to_hsv(colour);
            hsv_to_rgb([h.wrapping_add(shift), s, v])
        });
    }
}

/// Replaces each pixel's red, green and blue, as many pixels at once as fill vector registers:
/// `map` is vectorised if it has no branches.
#[inline(always)]
fn map_colours(pixels: &mut [u8], map: impl Fn([u8; 3]) -> [u8; 3]) {
    const LANES: usize = 32;
    for pixels in pixels.chunks_mut(3 * LANES) {
        let [mut r, mut g, mut b] = [[0; LANES]; 3];
        for (i, pixel) in pixels.chunks_exact(3).enumerate() {
            [r[i], g[i], b[i]] = [pixel[0], pixel[1], pixel[2]];
        }
        for ((r, g), b) in r.iter_mut().zip(&mut g).zip(&mut b) {
            [*r, *g, *b] = map([*r, *g, *b]);
        }
        for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[r[i], g[i], b[i]]);
        }
    }
}

#[inline(always)]
fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    // Grey, and so hue 0 and saturation 0, if there is no range.
    let range = f32::from((max - min).max(1));
    let distance = |c: u8| f32::from(max - c) / range;
    let (rc, gc, bc) = (distance(r), distance(g), distance(b));
    let red = bc - gc;
    let green = (2.0 + f64::from(rc) - f64::from(bc)) as f32;
    let blue = (4.0 + f64::from(gc) - f64::from(rc)) as f32;
    let sixths = if r == max {
        red
    } else if g == max {
        green
    } else {
        blue
    };
    let turns = f64::from(sixths) / 6.0 + 1.0;
    let turn = (turns - turns.floor()) as f32;
    let saturation = f32::from(max - min) / f32::from(max.max(1));
    // Rounded towards zero before f32 can round it up.
    let share = |x: f32| byte((f64::from(x) * 255.0).floor() as f32);
    [share(turn), share(saturation), max]
}

#[inline(always)]
fn hsv_to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = sixths.floor();
    let f = f64::from((sixths - sector) as f32);
    let fs = f64::from((f64::from(s) / 255.0) as f32);
    let level = |share: f64| byte((f64::from(v) * share).round() as f32);
    let (p, q, t) = (level(1.0 - fs), level(1.0 - fs * f), level(1.0 - fs * (1.0 - f)));
    let sector = byte(sector as f32);
    let pick = |levels: [u8; 6]| {
        let first = |i: u8, other: u8| if sector == i { levels[usize::from(i)] } else { other };
        first(1, first(2, first(3, first(4, first(5, levels[0])))))
    };
    [pick([v, q, p, p, t, v]), pick([t, v, v, q, p, p]), pick([p, p, t, v, v, q])]
}

/// Inverts the values from 128 on.
pub fn solarise(pixels: &mut [u8]) {
    pixels.iter_mut().filter(|value| **value >= 128).for_each(|value| *value = 255 - *value);
}
