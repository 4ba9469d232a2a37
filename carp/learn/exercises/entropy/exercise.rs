//! The entropy term: all prototypes should be used
//!
//!     m[c] = mean over all rows of the probabilities of prototype c
//!     H    = ln N + sum over c of m[c] * ln clamp(m[c])
//!
//! Consistency alone has an easy way out: every image chooses prototype 0 in all its views, and C is
//! 0. That is a collapse, and H is its price: the divergence of m from the uniform distribution, 0 if
//! all N prototypes of the block are used alike, and ln N if one takes all.
//!
//! The rows are those of the student and of the teacher, R = (V + 2) B in all. Mean first, then the
//! logarithm: single rows may and should be certain, only their mean is to be even. The loss is
//! C + H; at either collapse (one for all, or all uniform) it is ln N.

pub const EPS: f64 = f32::EPSILON as f64;

/// H of a block: the probabilities `rows` `[R,N]`.
pub fn entropy_term(size: usize, rows: &[f64]) -> f64 {
    // YOUR CODE BEGINS
    todo!("the mean of the rows, then the sum over its elements")
    // YOUR CODE ENDS
}
