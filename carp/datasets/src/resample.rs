//! Resizing with antialiasing, as Pillow's `Image.resize` does it.
//!
//! Output pixel i reads the input around its centre (i + 1/2) scale, weighted by a filter stretched
//! by `max(scale, 1)`. One pass along rows, then one along columns; weights are integers in units
//! of 2^-22 and each pass rounds to 8 bits.

use std::ops::Range;

use isa::{Isa, multiversion};
use serde::{Deserialize, Serialize};

use crate::crop::Crop;

/// Fractional bits of a weight: 32, minus 8 for the pixel and 2 for overshoot.
const PRECISION: u32 = 22;

/// The filter's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    #[inline(always)]
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

/// Numbers that are computed at once: as many as fill vector registers.
const LANES: usize = 16;
const HALF: i32 = 1 << (PRECISION - 1);

/// Weighted sums side by side, starting from one half.
struct Sums([i32; LANES]);

impl Sums {
    #[inline(always)]
    fn new() -> Sums {
        Sums([HALF; LANES])
    }

    #[inline(always)]
    fn add(&mut self, values: &[u8], weight: i32) {
        for (sum, &value) in self.0.iter_mut().zip(&values[..LANES]) {
            *sum += i32::from(value) * weight;
        }
    }

    #[inline(always)]
    fn rounded(self) -> [u8; LANES] {
        self.0.map(|sum| (sum >> PRECISION).clamp(0, 255) as u8)
    }
}

/// Memory that [`resize`] keeps between calls.
#[derive(Default)]
pub struct ResizeScratch {
    across: Weights,
    down: Weights,
    /// Some rows of the input, turned: each entry is a column of them.
    turned: Vec<[u8; LANES]>,
    /// Input rows at the output's width, and [`LANES`] more numbers.
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
    scratch.turned.clear();
    scratch.turned.reserve(wide * channels);
    scratch.rows.clear();
    scratch.rows.reserve(tall * out_width * channels + LANES);
    let size = (out_height, out_width);
    let part = Crop::whole(out_height, out_width);
    resize_part(filter, (pixels, width, channels), crop, size, part, scratch, output);
}

/// Only `part` of what [`resize`] gives, computing no more than that.
#[multiversion(Isa::preferred())]
pub fn resize_part(
    filter: Filter,
    (pixels, width, channels): (&[u8], usize, usize),
    crop: Crop,
    (out_height, out_width): (usize, usize),
    part: Crop,
    scratch: &mut ResizeScratch,
    output: &mut Vec<u8>,
) {
    let ResizeScratch { across, down, turned, rows } = scratch;
    across.compute(filter, crop.width, out_width, part.left..part.left + part.width);
    down.compute(filter, crop.height, out_height, part.top..part.top + part.height);
    let (input_rows, input_columns) = (down.input(), across.input());
    let row_len = part.width * channels;
    rows.clear();
    rows.resize(input_rows.len() * row_len + LANES, 0);
    turned.clear();
    turned.resize(input_columns.len() * channels, [0; LANES]);
    let blocks = rows[..input_rows.len() * row_len].chunks_mut(LANES * row_len);
    for (first_row, block) in input_rows.clone().step_by(LANES).zip(blocks) {
        for lane in 0..block.len() / row_len {
            let row = crop.top + first_row + lane;
            let start = (row * width + crop.left + input_columns.start) * channels;
            let values = &pixels[start..start + turned.len()];
            turned.iter_mut().zip(values).for_each(|(column, &value)| column[lane] = value);
        }
        for x in 0..part.width {
            let (first, weights) = across.of(x);
            let input = &turned[(first - input_columns.start) * channels..];
            for channel in 0..channels {
                let mut sums = Sums::new();
                for (column, &weight) in input[channel..].iter().step_by(channels).zip(weights) {
                    sums.add(column, weight);
                }
                let places = block[x * channels + channel..].iter_mut().step_by(row_len);
                places.zip(sums.rounded()).for_each(|(place, value)| *place = value);
            }
        }
    }
    output.clear();
    output.resize(part.height * row_len, 0);
    for (y, output) in output.chunks_exact_mut(row_len).enumerate() {
        let (first, weights) = down.of(y);
        let input = &rows[(first - input_rows.start) * row_len..];
        for (start, output) in (0..).step_by(LANES).zip(output.chunks_mut(LANES)) {
            let mut sums = Sums::new();
            for (row, &weight) in weights.iter().enumerate() {
                sums.add(&input[row * row_len + start..], weight);
            }
            output.copy_from_slice(&sums.rounded()[..output.len()]);
        }
    }
}
