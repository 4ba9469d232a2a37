//! Affine maps of 8-bit images, as Pillow's `Image.transform` computes them.

use isa::{Isa, multiversion};

/// How values between pixels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// From the 2x2 nearest pixels.
    Bilinear,
    /// From the 4x4 nearest pixels.
    Bicubic,
}

/// The image whose pixel at (x, y) is the source's at (ax + by + c, dx + ey + f), of the matrix `[a, b, c,
/// d, e, f]`; pixels have their centres at halves. What lies outside of the source has the colour `fill`.
#[multiversion(Isa::preferred())]
pub fn affine(
    pixels: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    [a, b, c, d, e, f]: [f64; 6],
    (interpolation, fill): (Interpolation, &[u8]),
    scratch: &mut Vec<u8>,
) {
    scratch.clear();
    scratch.extend_from_slice(pixels);
    let source = Source { pixels: scratch, height, width, channels };
    for (place, pixel) in pixels.chunks_exact_mut(channels).enumerate() {
        let (x, y) = ((place % width) as f64 + 0.5, (place / width) as f64 + 0.5);
        let (x, y) = (a * x + b * y + c, d * x + e * y + f);
        if !(0.0..width as f64).contains(&x) || !(0.0..height as f64).contains(&y) {
            pixel.copy_from_slice(fill);
            continue;
        }
        for (channel, value) in pixel.iter_mut().enumerate() {
            *value = match interpolation {
                Interpolation::Bilinear => source.bilinear(x - 0.5, y - 0.5, channel),
                Interpolation::Bicubic => source.bicubic(x - 0.5, y - 0.5, channel),
            };
        }
    }
}

/// The matrix that turns an image by `degrees` against the clock around its middle.
pub fn rotation(degrees: f64, height: usize, width: usize) -> [f64; 6] {
    let angle = -degrees.to_radians();
    let (sin, cos) = (libm::sin(angle), libm::cos(angle));
    let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

struct Source<'a> {
    pixels: &'a [u8],
    height: usize,
    width: usize,
    channels: usize,
}

impl Source<'_> {
    /// A channel of the pixel nearest to one that may lie outside.
    #[inline(always)]
    fn at(&self, x: isize, y: isize, channel: usize) -> f64 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        f64::from(self.pixels[(y * self.width + x) * self.channels + channel])
    }

    #[inline(always)]
    fn bilinear(&self, x: f64, y: f64, channel: usize) -> u8 {
        let (left, top) = (x.floor(), y.floor());
        let between = |a: f64, b: f64, part: f64| a + (b - a) * part;
        let row = |y: isize| {
            let [a, b] = [0, 1].map(|step| self.at(left as isize + step, y, channel));
            between(a, b, x - left)
        };
        between(row(top as isize), row(top as isize + 1), y - top) as u8
    }

    #[inline(always)]
    fn bicubic(&self, x: f64, y: f64, channel: usize) -> u8 {
        let (left, top) = (x.floor(), y.floor());
        let between = |[a, b, c, d]: [f64; 4], part: f64| {
            let (p2, p3, p4) = (c - a, 2.0 * (a - b) + c - d, b - a - c + d);
            b + part * (p2 + part * (p3 + part * p4))
        };
        let steps = [-1, 0, 1, 2];
        let row = |y: isize| {
            between(steps.map(|step| self.at(left as isize + step, y, channel)), x - left)
        };
        between(steps.map(|step| row(top as isize + step)), y - top).clamp(0.0, 255.0) as u8
    }
}
