//! Gaussian blur like Pillow's: three box blurs along rows, then three along columns.
//!
//! A box of fractional radius weighs the pixels inside by `ww` and the two just outside by `fw`,
//! both in units of 2^-24; beyond the border the outermost pixel is repeated.

/// The box radius whose threefold blur has standard deviation `sigma` (Gwosdek et al., 2011).
fn box_radius(sigma: f32) -> f32 {
    let variance = sigma * sigma / 3.0;
    let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
    let whole = ((length - 1.0) / 2.0).floor();
    let rest = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
        / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
    whole + rest
}

/// The weights of a box blur.
#[derive(Clone, Copy)]
struct BoxBlur {
    radius: usize,
    inside: u32,
    outside: u32,
}

impl BoxBlur {
    fn new(radius: f32) -> BoxBlur {
        let whole = radius as u32;
        let one = f64::from(1u32 << 24);
        let inside = (one / (f64::from(radius) * 2.0 + 1.0)) as u32;
        let outside = ((1u32 << 24) - (whole * 2 + 1) * inside) / 2;
        BoxBlur { radius: whole as usize, inside, outside }
    }

    /// Blurs a line of pixels.
    fn line(self, input: &[u8], channels: usize, output: &mut [u8]) {
        let pixels = input.len() / channels;
        for (x, output) in output.chunks_exact_mut(channels).enumerate() {
            for (channel, output) in output.iter_mut().enumerate() {
                let at = |offset: isize| {
                    let place = (x as isize + offset).clamp(0, pixels as isize - 1) as usize;
                    u32::from(input[place * channels + channel])
                };
                let radius = self.radius as isize;
                let inside: u32 = (-radius..=radius).map(at).sum();
                let outside = at(-radius - 1) + at(radius + 1);
                let sum = inside * self.inside + outside * self.outside + (1 << 23);
                *output = (sum >> 24) as u8;
            }
        }
    }
}

/// Lines of an image, rows or columns, that fit in [`gaussian_blur`]'s scratch memory.
pub const SCRATCH_LINES: usize = 3;

/// Blurs an image (H,W,C pixels) in place with a Gaussian of standard deviation `sigma` pixels.
pub fn gaussian_blur(
    pixels: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    sigma: f32,
    scratch: &mut Vec<u8>,
) {
    let blur = BoxBlur::new(box_radius(sigma));
    scratch.clear();
    let line_len = width.max(height) * channels;
    scratch.resize(SCRATCH_LINES * line_len, 0);
    let (column, scratch) = scratch.split_at_mut(line_len);
    let (a, b) = scratch.split_at_mut(line_len);
    let mut three_times = |line: &mut [u8]| {
        let (a, b) = (&mut a[..line.len()], &mut b[..line.len()]);
        blur.line(line, channels, a);
        blur.line(a, channels, b);
        blur.line(b, channels, line);
    };
    for row in pixels.chunks_exact_mut(width * channels) {
        three_times(row);
    }
    let column = &mut column[..height * channels];
    for x in 0..width {
        for (y, pixel) in column.chunks_exact_mut(channels).enumerate() {
            pixel.copy_from_slice(&pixels[(y * width + x) * channels..][..channels]);
        }
        three_times(column);
        for (y, pixel) in column.chunks_exact(channels).enumerate() {
            pixels[(y * width + x) * channels..][..channels].copy_from_slice(pixel);
        }
    }
}
