//! Mirrored and rotated images.

/// Mirrors every row.
pub fn flip(pixels: &mut [u8], width: usize, channels: usize) {
    for row in pixels.chunks_exact_mut(width * channels) {
        for x in 0..width / 2 {
            for channel in 0..channels {
                row.swap(x * channels + channel, (width - 1 - x) * channels + channel);
            }
        }
    }
}

/// Rotates a square image by 90 degrees, in cycles of four pixels that trade places.
pub fn quarter_turn(pixels: &mut [u8], size: usize, channels: usize) {
    let at = |y: usize, x: usize, channel: usize| (y * size + x) * channels + channel;
    for y in 0..size / 2 {
        for x in 0..size.div_ceil(2) {
            for channel in 0..channels {
                let (down, left) = (size - 1 - y, size - 1 - x);
                pixels.swap(at(y, x, channel), at(left, y, channel));
                pixels.swap(at(left, y, channel), at(down, left, channel));
                pixels.swap(at(down, left, channel), at(x, down, channel));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_quarter_turns_and_two_flips_change_nothing() {
        for size in [1, 2, 5, 8] {
            let original: Vec<u8> = (0..size * size * 3).map(|i| i as u8).collect();
            let mut pixels = original.clone();
            quarter_turn(&mut pixels, size, 3);
            // The top left pixel comes from the left end of the bottom row.
            assert_eq!(pixels[..3], original[(size - 1) * size * 3..][..3]);
            (0..3).for_each(|_| quarter_turn(&mut pixels, size, 3));
            assert_eq!(pixels, original);
            (0..2).for_each(|_| flip(&mut pixels, size, 3));
            assert_eq!(pixels, original);
        }
    }
}
