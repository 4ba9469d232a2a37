//! Resizing with antialiasing, as Pillow's `Image.resize` does it.
//!
//! Output pixel i reads the input around its centre (i + 1/2) scale, weighted by a filter stretched
//! by `max(scale, 1)`. One pass along rows, then one along columns; weights are integers in units
//! of 2^-22 and each pass rounds to 8 bits.

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

/// The weights of one direction: per output pixel its first input pixel and how many it reads.
#[derive(Default)]
pub struct Weights {
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

    fn compute(&mut self, filter: Filter, input: usize, output: usize) {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        self.per_output = Weights::per_output(filter, input, output);
        self.spans.clear();
        self.weights.clear();
        self.weights.resize(output * self.per_output, 0);
        for (i, weights) in self.weights.chunks_exact_mut(self.per_output).enumerate() {
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

    fn of(&self, output: usize) -> (usize, &[i32]) {
        let (first, len) = self.spans[output];
        (first, &self.weights[output * self.per_output..][..len])
    }
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

/// Memory that [`resize`] keeps between calls.
#[derive(Default)]
pub struct ResizeScratch {
    weights: Weights,
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
    let ResizeScratch { weights, rows } = scratch;
    let height = pixels.len() / (width * channels);
    // Room for the whole image: no other crop of an image of this size then allocates.
    weights.reserve(filter, width, out_width);
    weights.reserve(filter, height, out_height);
    rows.clear();
    rows.reserve(height * out_width * channels);
    weights.compute(filter, crop.width, out_width);
    for row in 0..crop.height {
        let start = ((crop.top + row) * width + crop.left) * channels;
        let input = &pixels[start..start + crop.width * channels];
        for x in 0..out_width {
            let (first, weights) = weights.of(x);
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
    weights.compute(filter, crop.height, out_height);
    let row_len = out_width * channels;
    output.clear();
    output.reserve(out_height * row_len);
    for y in 0..out_height {
        let (first, weights) = weights.of(y);
        let input = &rows[first * row_len..];
        for x in 0..row_len {
            let sum = weights.iter().enumerate().fold(HALF, |sum, (row, weight)| {
                sum + i32::from(input[row * row_len + x]) * weight
            });
            output.push(rounded(sum));
        }
    }
}
