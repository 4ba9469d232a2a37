//! RandAugment (Cubuk et al., 2020) as InfoMin has it: some of fifteen transformations, each with
//! probability 1/2, of nearly full strength.

use tensor::random::Stream;

use super::affine::{Interpolation, affine, rotation};
use super::colour::{adjust_brightness, adjust_contrast, adjust_saturation};
use super::sharpness::adjust_sharpness;
use super::tone::{autocontrast, equalize, invert, posterize, solarise_add, solarise_from};

/// Transformations to choose from.
const KINDS: u32 = 15;
/// Standard deviation of the strength, as a share of the full one, around which it is drawn.
const DEVIATION: f32 = 0.05;

/// Draws and applies `count` transformations; what they turn or move in has the colour `mean`, 0 to 1.
pub fn rand_augment(
    pixels: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    (count, mean): (usize, &[f32]),
    stream: &mut Stream,
    scratch: &mut Vec<u8>,
) {
    let size = (height, width, channels);
    let mut fill = [0; 3];
    fill.iter_mut().zip(mean).for_each(|(fill, mean)| *fill = (255.0 * mean).round() as u8);
    for _ in 0..count {
        let kind = stream.below(KINDS);
        if !stream.chance(0.5) {
            continue;
        }
        let strength = (1.0 + DEVIATION * stream.normal()).clamp(0.0, 1.0);
        let factor = 0.1 + 1.8 * strength;
        match kind {
            0 => autocontrast(pixels, channels),
            1 => equalize(pixels, channels),
            2 => invert(pixels),
            3 => posterize(pixels, (4.0 * strength) as u32),
            4 => solarise_from(pixels, (256.0 * strength) as u32),
            5 => solarise_add(pixels, (110.0 * strength) as u8),
            6 => adjust_saturation(pixels, channels, factor),
            7 => adjust_contrast(pixels, channels, factor),
            8 => adjust_brightness(pixels, factor),
            9 => adjust_sharpness(pixels, size, factor, scratch),
            _ => {
                let strength = f64::from(if stream.chance(0.5) { -strength } else { strength });
                let mut matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
                match kind {
                    10 => matrix = rotation(30.0 * strength, height, width),
                    11 => matrix[1] = 0.3 * strength,
                    12 => matrix[3] = 0.3 * strength,
                    13 => matrix[2] = 0.45 * strength * width as f64,
                    _ => matrix[5] = 0.45 * strength * height as f64,
                }
                let is_smooth = stream.chance(0.5);
                let interpolation =
                    if is_smooth { Interpolation::Bicubic } else { Interpolation::Bilinear };
                affine(pixels, size, matrix, (interpolation, &fill[..channels]), scratch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tensor::random::Purpose;

    use super::*;

    #[test]
    fn half_of_the_transformations_are_left_out() {
        let image: Vec<u8> = (0..16 * 16 * 3).map(|i| (i * 11 % 256) as u8).collect();
        let mut changed = 0;
        for index in 0..400 {
            let mut stream = Stream::new(0, Purpose::Test, 0, index);
            let mut pixels = image.clone();
            rand_augment(&mut pixels, (16, 16, 3), (1, &[0.5; 3]), &mut stream, &mut Vec::new());
            changed += usize::from(pixels != image);
        }
        // Solarising at full strength changes nothing, nor does stretching a full range.
        assert!((140..200).contains(&changed), "{changed}");
    }
}
