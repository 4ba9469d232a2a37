//! Resizing with antialiasing, as Pillow's `Image.resize` does it.
//!
//! Output pixel i reads the input around its centre (i + 1/2) scale, weighted by a filter stretched
//! by `max(scale, 1)`. One pass along rows, then one along columns; weights are integers in units
//! of 2^-22 and each pass rounds to 8 bits.

use std::ops::Range;

use crate::crop::Crop;

/// Fractional bits of a weight: 32, minus 8 for the pixel and 2 for overshoot.
const PRECISION: u32 = 22;

/// The filter's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Keys's cubic with a = -1/2.
    Bicubic,
    /// sinc windowed by sinc, three lobes.
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Filter::Bilinear => (1.0 - x).max(0.0),
            Filter::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Filter::Bicubic => 0.0,
            Filter::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            Filter::Lanczos => 0.0,
        }
    }
}

/// sin(pi x) / (pi x).
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let turns = x - 2.0 * (x / 2.0).round();
    // sin(pi t) for t in [-1, 1], by the series around 0 at t or its mirror image, whichever is
    // nearer.
    let t = if turns > 0.5 {
        1.0 - turns
    } else if turns < -0.5 {
        -1.0 - turns
    } else {
        turns
    };
    let y = std::f64::consts::PI * t;
    let series = (1..12).rev().fold(1.0, |sum, i| {
        let n = f64::from(2 * i);
        1.0 - sum * y * y / (n * (n + 1.0))
    });
    y * series / (std::f64::consts::PI * x)
}

/// The weights of one direction, for a range of output pixels: for each its first input pixel and
/// how many it reads.
#[derive(Default)]
struct Weights {
    spans: Vec<(usize, usize)>,
    /// `per_output` weights for each output pixel; the span says how many are used.
    weights: Vec<i32>,
    per_output: usize,
}

impl Weights {
    /// Maximum number of weights per output pixel.
    fn per_output(filter: Filter, input: usize, output: usize) -> usize {
        let stretch = (input as f64 / output as f64).max(1.0);
        (filter.support() * stretch).ceil() as usize * 2 + 1
    }

    /// Reserves what [`Weights::compute`] needs for any part of the input.
    fn reserve(&mut self, filter: Filter, input: usize, output: usize) {
        self.spans.clear();
        self.spans.reserve(output);
        self.weights.clear();
        self.weights.reserve(output * Weights::per_output(filter, input, output));
    }

    /// Computes those of the output pixels `range`.
    fn compute(&mut self, filter: Filter, input: usize, output: usize, range: Range<usize>) {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        self.per_output = Weights::per_output(filter, input, output);
        self.spans.clear();
        self.weights.clear();
        self.weights.resize(range.len() * self.per_output, 0);
        for (i, weights) in range.zip(self.weights.chunks_exact_mut(self.per_output)) {
            let centre = (i as f64 + 0.5) * scale;
            // Truncated like Pillow's cast, and never below the first pixel.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(input);
            let weight = |x: usize| filter.at((x as f64 - centre + 0.5) / stretch);
            let sum: f64 = (first..end).map(weight).sum();
            for (x, quantised) in (first..end).zip(weights) {
                let exact = weight(x) / sum * f64::from(1 << PRECISION);
                *quantised = (exact + 0.5f64.copysign(exact)) as i32;
            }
            self.spans.push((first, end - first));
        }
    }

    /// First input pixel and weights of the output pixel `place` of the range.
    fn of(&self, place: usize) -> (usize, &[i32]) {
        let (first, len) = self.spans[place];
        (first, &self.weights[place * self.per_output..][..len])
    }

    /// All input pixels that are read.
    fn input(&self) -> Range<usize> {
        let first = self.spans.iter().map(|&(first, _)| first).min().unwrap_or(0);
        first..self.spans.iter().map(|&(first, len)| first + len).max().unwrap_or(0)
    }
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

/// Memory that [`resize`] keeps between calls.
#[derive(Default)]
pub struct ResizeScratch {
    across: Weights,
    down: Weights,
    rows: Vec<u8>,
}

/// Resizes the part `crop` of an image (H,W,C pixels, `width` columns) to `(height, width)` into
/// `output`.
pub fn resize(
    filter: Filter,
    (pixels, width, channels): (&[u8], usize, usize),
    crop: Crop,
    (out_height, out_width): (usize, usize),
    scratch: &mut ResizeScratch,
    output: &mut Vec<u8>,
) {
    let height = pixels.len() / (width * channels);
    // Room for the largest random crop: no other crop of an image of this size then allocates. None
    // has a side of twice the other, so an image of 1 x 1,000,000 needs no room for all of it.
    let (tall, wide) = (height.min(2 * width), width.min(2 * height));
    scratch.across.reserve(filter, wide, out_width);
    scratch.down.reserve(filter, tall, out_height);
    scratch.rows.clear();
    scratch.rows.reserve(tall * out_width * channels);
    let size = (out_height, out_width);
    let part = Crop::whole(out_height, out_width);
    resize_part(filter, (pixels, width, channels), crop, size, part, scratch, output);
}

/// Only `part` of what [`resize`] gives, computing no more than that.
pub fn resize_part(
    filter: Filter,
    (pixels, width, channels): (&[u8], usize, usize),
    crop: Crop,
    (out_height, out_width): (usize, usize),
    part: Crop,
    scratch: &mut ResizeScratch,
    output: &mut Vec<u8>,
) {
    let ResizeScratch { across, down, rows } = scratch;
    across.compute(filter, crop.width, out_width, part.left..part.left + part.width);
    down.compute(filter, crop.height, out_height, part.top..part.top + part.height);
    let input_rows = down.input();
    let first_row = input_rows.start;
    rows.clear();
    rows.reserve(input_rows.len() * part.width * channels);
    for row in input_rows {
        let start = ((crop.top + row) * width + crop.left) * channels;
        let input = &pixels[start..start + crop.width * channels];
        for x in 0..part.width {
            let (first, weights) = across.of(x);
            let input = &input[first * channels..];
            let mut sums = [HALF; 3];
            for (pixel, weight) in input.chunks_exact(channels).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            rows.extend(sums[..channels].iter().map(|&sum| rounded(sum)));
        }
    }
    let row_len = part.width * channels;
    output.clear();
    output.reserve(part.height * row_len);
    for y in 0..part.height {
        let (first, weights) = down.of(y);
        let input = &rows[(first - first_row) * row_len..];
        for x in 0..row_len {
            let sum = weights.iter().enumerate().fold(HALF, |sum, (row, weight)| {
                sum + i32::from(input[row * row_len + x]) * weight
            });
            output.push(rounded(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_that_of_the_whole() {
        let pixels: Vec<u8> = (0..13 * 17 * 3).map(|i| (i * 89 % 251) as u8).collect();
        let source = (&pixels[..], 17, 3);
        let crop = Crop { top: 1, left: 2, height: 11, width: 14 };
        let mut scratch = ResizeScratch::default();
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for size in [(5, 6), (40, 6), (5, 60), (11, 14)] {
                let (mut whole, mut part) = (Vec::new(), Vec::new());
                resize(filter, source, crop, size, &mut scratch, &mut whole);
                let (height, width) = size;
                let window = Crop { top: 2, left: 1, height: 3, width: width - 2 };
                resize_part(filter, source, crop, size, window, &mut scratch, &mut part);
                let whole = crate::Image { height, width, channels: 3, pixels: whole };
                assert_eq!(part, whole.cropped(window).pixels, "{filter:?} {size:?}");
            }
        }
    }
}
