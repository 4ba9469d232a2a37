//! Transformations of 8-bit pixels that depend on their value and on how often it occurs, as in Pillow's
//! `ImageOps`.

/// How often each value occurs in each of the channels, first channel first.
fn histograms(pixels: &[u8], channels: usize) -> [[usize; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in pixels.chunks_exact(channels) {
        for (counts, &value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(value)] += 1;
        }
    }
    counts
}

/// Replaces each channel's values by its table.
fn look_up(pixels: &mut [u8], channels: usize, table: impl Fn(&[usize; 256]) -> [u8; 256]) {
    let tables = histograms(pixels, channels).map(|counts| table(&counts));
    for pixel in pixels.chunks_exact_mut(channels) {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// Values as they are.
fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// Stretches each channel so that its least value becomes 0 and its largest 255.
pub fn autocontrast(pixels: &mut [u8], channels: usize) {
    look_up(pixels, channels, |counts| {
        let least = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let most = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if most <= least {
            return identity();
        }
        let scale = 255.0 / (most - least) as f64;
        let offset = -(least as f64) * scale;
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    });
}

/// Spreads each channel's values so that all occur about equally often.
pub fn equalize(pixels: &mut [u8], channels: usize) {
    look_up(pixels, channels, |counts| {
        let all: usize = counts.iter().sum();
        let last = counts.iter().rfind(|&&count| count > 0).copied().unwrap_or(0);
        let step = (all - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut below = step / 2;
        std::array::from_fn(|value| {
            let level = below / step;
            below += counts[value];
            level.min(255) as u8
        })
    });
}

/// Inverts all values.
pub fn invert(pixels: &mut [u8]) {
    pixels.iter_mut().for_each(|value| *value = 255 - *value);
}

/// Keeps the `bits` highest bits, at most 8.
pub fn posterize(pixels: &mut [u8], bits: u32) {
    let mask = !(0xff_u32 >> bits) as u8;
    pixels.iter_mut().for_each(|value| *value &= mask);
}

/// Inverts the values from `threshold` on, which may be above all of them.
pub fn solarise_from(pixels: &mut [u8], threshold: u32) {
    let is_bright = |value: &&mut u8| u32::from(**value) >= threshold;
    pixels.iter_mut().filter(is_bright).for_each(|value| *value = 255 - *value);
}

/// Adds to the values below 128.
pub fn solarise_add(pixels: &mut [u8], add: u8) {
    let dark = pixels.iter_mut().filter(|value| **value < 128);
    dark.for_each(|value| *value = value.saturating_add(add));
}
