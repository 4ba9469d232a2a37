//! From 8-bit pixels to network input.

use isa::{Isa, multiversion};

/// Numbers that are computed at once: a multiple of the channels, 1 or 3, and of a vector register.
const LANES: usize = 24;

/// (pixel / 255 - mean) / std.
#[multiversion(Isa::preferred())]
pub fn normalise(pixels: &[u8], mean: &[f32], std: &[f32], view: &mut [f32]) {
    assert_eq!(pixels.len(), view.len(), "a view of another size");
    let mean: [f32; LANES] = std::array::from_fn(|i| mean[i % mean.len()]);
    let std: [f32; LANES] = std::array::from_fn(|i| std[i % std.len()]);
    let apply = |view: &mut [f32], pixels: &[u8]| {
        for (((view, &pixel), mean), std) in view.iter_mut().zip(pixels).zip(mean).zip(std) {
            *view = (f32::from(pixel) / 255.0 - mean) / std;
        }
    };
    let (views, last_view) = view.as_chunks_mut::<LANES>();
    let (pixels, last_pixels) = pixels.as_chunks::<LANES>();
    views.iter_mut().zip(pixels).for_each(|(view, pixels)| apply(view, pixels));
    apply(last_view, last_pixels);
}
