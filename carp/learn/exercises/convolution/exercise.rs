//! Convolution: a small window slides over the picture
//!
//!     y[p,q,o] = sum over r, s, c of x[p*stride + r - padding, q*stride + s - padding, c] * w[o,r,s,c]
//!
//! x is a picture `[H,W,C]`, channels last, w holds O windows `[O,R,S,C]`, and y is `[P,Q,O]`. Each
//! y[p,q,o] is the inner product of a window with the part of the picture beneath it. Where the
//! window hangs over the edge, the picture counts as 0: padding. Nothing is flipped: strictly
//! speaking it is a cross-correlation, as in all frameworks.
//!
//! Most of a ResNet is of this kind. There are many fast forms (docs/convolution.md); all are tested
//! against these loops.

/// Sizes: a picture `[h,w,c]`, and `o` windows `[r,s,c]`.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub o: usize,
    pub r: usize,
    pub s: usize,
    pub stride: usize,
    pub padding: usize,
}

/// y `[P,Q,O]` of x `[H,W,C]` and the windows `[O,R,S,C]`.
pub fn convolution(sizes: Sizes, x: &[f64], windows: &[f64]) -> Vec<f64> {
    let Sizes { h, w, c, o, r, s, stride, padding } = sizes;
    let (height, width) = ((h + 2 * padding - r) / stride + 1, (w + 2 * padding - s) / stride + 1);
    let mut y = vec![0.0; height * width * o];
    for p in 0..height {
        for q in 0..width {
            for out in 0..o {
                let mut sum = 0.0;
                // YOUR CODE BEGINS
                todo!("add all products of this window; skip what is outside of the picture");
                // YOUR CODE ENDS
                y[(p * width + q) * o + out] = sum;
            }
        }
    }
    y
}
