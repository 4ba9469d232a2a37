//! From 8-bit pixels to network input.

/// (pixel / 255 - mean) / std.
pub fn normalise(pixels: &[u8], mean: &[f32], std: &[f32], view: &mut [f32]) {
    let channels = mean.len();
    assert_eq!(pixels.len(), view.len(), "a view of another size");
    for (view, pixel) in view.chunks_exact_mut(channels).zip(pixels.chunks_exact(channels)) {
        for (((view, &pixel), mean), std) in view.iter_mut().zip(pixel).zip(mean).zip(std) {
            *view = (f32::from(pixel) / 255.0 - mean) / std;
        }
    }
}
