//! Colour transformations on 8-bit pixels, as in Pillow and torchvision. Saturation, hue and
//! greyscale do nothing to grey images (one channel).

use datasets::luma;

/// `from + factor (to - from)`, clamped to 0..255 and rounded towards zero: Pillow's `Image.blend`.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // `as` clamps to the range of u8 and rounds towards zero.
    (from + factor * (to - from)) as u8
}

/// Blends with black.
pub fn adjust_brightness(pixels: &mut [u8], factor: f32) {
    pixels.iter_mut().for_each(|value| *value = blend(0, *value, factor));
}

/// Blends with the image's mean luma.
pub fn adjust_contrast(pixels: &mut [u8], channels: usize, factor: f32) {
    let sum: u64 = match channels {
        1 => pixels.iter().map(|&value| u64::from(value)).sum(),
        _ => pixels.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum(),
    };
    let count = (pixels.len() / channels) as f64;
    let mean = (sum as f64 / count + 0.5) as u8;
    pixels.iter_mut().for_each(|value| *value = blend(mean, *value, factor));
}

/// Blends each pixel with its luma.
pub fn adjust_saturation(pixels: &mut [u8], channels: usize, factor: f32) {
    if channels == 3 {
        for pixel in pixels.chunks_exact_mut(3) {
            let grey = luma(pixel);
            pixel.iter_mut().for_each(|value| *value = blend(grey, *value, factor));
        }
    }
}

/// Turns the hue by `factor` of a full circle, -0.5 to 0.5.
pub fn adjust_hue(pixels: &mut [u8], channels: usize, factor: f32) {
    if channels == 3 {
        // Towards zero, then modulo 256: a negative shift wraps around the circle.
        let shift = (f64::from(factor) * 255.0) as i32 as u8;
        for pixel in pixels.chunks_exact_mut(3) {
            let [h, s, v] = rgb_to_hsv([pixel[0], pixel[1], pixel[2]]);
            pixel.copy_from_slice(&hsv_to_rgb([h.wrapping_add(shift), s, v]));
        }
    }
}

fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let distance = |c: u8| f32::from(max - c) / range;
    let (rc, gc, bc) = (distance(r), distance(g), distance(b));
    let sixths = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let turn = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(max);
    let byte = |x: f32| (f64::from(x) * 255.0) as u8;
    [byte(turn), byte(saturation), max]
}

fn hsv_to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = sixths.floor();
    let f = f64::from((sixths - sector) as f32);
    let fs = f64::from((f64::from(s) / 255.0) as f32);
    let level = |share: f64| (f64::from(v) * share).round().clamp(0.0, 255.0) as u8;
    let (p, q, t) = (level(1.0 - fs), level(1.0 - fs * f), level(1.0 - fs * (1.0 - f)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

/// Inverts the values from 128 on.
pub fn solarise(pixels: &mut [u8]) {
    pixels.iter_mut().filter(|value| **value >= 128).for_each(|value| *value = 255 - *value);
}
