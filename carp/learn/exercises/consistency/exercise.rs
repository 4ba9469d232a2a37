//! Consistency: two views of one image should choose the same prototype
//!
//!     d_ij[n] = sum over c of p_i[n,c] * q_j[n,c]
//!     C       = mean over all pairs (i,j), i != j, and images n of -ln clamp(d_ij[n])
//!
//! p_i are the student's probabilities of view i, q_j the teacher's of view j, inside one block of N
//! prototypes. If each view drew a prototype, d would be the probability that both draw the same.
//! The student sees V views, the teacher two, 0 and 1. A pair of the same view would be too easy, so
//! i != j: of 2 V pairs 2 V - 2 are left. Clamp keeps d in [eps, 1 - eps], eps = 2^-23: ln 0 is
//! infinite.
//!
//! C is least where both are *certain* of the same one, even if it is the same for all images.

pub const EPS: f64 = f32::EPSILON as f64;

/// C of a block: p `[V,B,N]`, q `[2,B,N]`.
pub fn consistency(views: usize, batch: usize, size: usize, p: &[f64], q: &[f64]) -> f64 {
    let row = |x: &[f64], view: usize, n: usize| x[(view * batch + n) * size..][..size].to_vec();
    let mut sum = 0.0;
    // YOUR CODE BEGINS
    todo!("add -ln clamp(d) of all pairs of different views, and divide");
    // YOUR CODE ENDS
}
