//! Gaussian blur like Pillow's: three box blurs along rows, then three along columns.
//!
//! A box of fractional radius weighs the pixels inside by `ww` and the two just outside by `fw`,
//! both in units of 2^-24; beyond the border the outermost pixel is repeated.

use isa::{Isa, multiversion};

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

    /// Numbers before a line's first pixel, and after its last, of `step` numbers each.
    fn margin(self, step: usize) -> usize {
        (self.radius + 1) * step
    }

    /// Blurs the `len` numbers between two margins, which it fills; pixels of `step` numbers each.
    #[inline(always)]
    fn line(self, input: &mut [u8], (step, len): (usize, usize), output: &mut [u8]) {
        self.fill_margins(input, (step, len));
        let margin = self.margin(step);
        for start in (0..len).step_by(LANES) {
            let add = |sums: &mut [u32; LANES], pixel: usize| {
                let values = &input[start + pixel * step..][..LANES];
                sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += u32::from(value));
            };
            let (mut inside, mut outside) = ([0; LANES], [0; LANES]);
            (1..2 * self.radius + 2).for_each(|pixel| add(&mut inside, pixel));
            [0, 2 * self.radius + 2].into_iter().for_each(|pixel| add(&mut outside, pixel));
            let output = &mut output[margin + start..][..LANES];
            for ((output, inside), outside) in output.iter_mut().zip(inside).zip(outside) {
                let sum = inside * self.inside + outside * self.outside + (1 << 23);
                *output = (sum >> 24) as u8;
            }
        }
    }

    /// Blurs line `a` three times, into `b`.
    #[inline(always)]
    fn three_times(self, (a, b): (&mut [u8], &mut [u8]), line: (usize, usize)) {
        self.line(a, line, b);
        self.line(b, line, a);
        self.line(a, line, b);
    }

    /// Repeats the outermost pixels in the margins.
    #[inline(always)]
    fn fill_margins(self, line: &mut [u8], (step, len): (usize, usize)) {
        let margin = self.margin(step);
        let end = margin + len;
        for place in (0..margin).step_by(step) {
            line.copy_within(margin..margin + step, place);
            line.copy_within(end - step..end, end + place);
        }
    }
}

/// Numbers that are computed at once, as many as fill vector registers; a line's last ones may lie
/// behind its end.
const LANES: usize = 32;

/// Numbers of one line with margins, of an image of `(height, width, channels)`.
fn line_len(blur: BoxBlur, (height, width, channels): (usize, usize, usize)) -> usize {
    let along = |pixels: usize, step: usize| pixels * step + 2 * blur.margin(step) + LANES;
    along(width, channels).max(along(height, LANES))
}

/// Bytes of scratch memory for [`gaussian_blur`] with a standard deviation of at most `sigma`.
pub fn scratch_len(size: (usize, usize, usize), sigma: f32) -> usize {
    2 * line_len(BoxBlur::new(box_radius(sigma)), size)
}

/// Blurs an image (H,W,C pixels) in place with a Gaussian of standard deviation `sigma` pixels.
#[multiversion(Isa::preferred())]
pub fn gaussian_blur(
    pixels: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    sigma: f32,
    scratch: &mut Vec<u8>,
) {
    let blur = BoxBlur::new(box_radius(sigma));
    let line_len = line_len(blur, (height, width, channels));
    scratch.clear();
    scratch.resize(2 * line_len, 0);
    let (a, b) = scratch.split_at_mut(line_len);
    let row_len = width * channels;
    let margin = blur.margin(channels);
    for row in pixels.chunks_exact_mut(row_len) {
        a[margin..margin + row_len].copy_from_slice(row);
        blur.three_times((a, b), (channels, row_len));
        row.copy_from_slice(&b[margin..margin + row_len]);
    }
    // Columns, as many side by side as there are lanes.
    for left in (0..row_len).step_by(LANES) {
        let step = LANES.min(row_len - left);
        let len = height * step;
        let margin = blur.margin(step);
        for (row, line) in pixels.chunks_exact(row_len).zip(a[margin..].chunks_exact_mut(step)) {
            line.copy_from_slice(&row[left..left + step]);
        }
        blur.three_times((a, b), (step, len));
        for (row, line) in pixels.chunks_exact_mut(row_len).zip(b[margin..].chunks_exact(step)) {
            row[left..left + step].copy_from_slice(line);
        }
    }
}
