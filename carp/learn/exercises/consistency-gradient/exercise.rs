//! The gradient of the consistency, by hand
//!
//!     dC/ds_i[n,c] = 1/((2V-2) B) * sum over j != i of A_ij * p_i[n,c] * (1 - q_j[n,c] / d_ij[n])
//!
//! s are the student's logits, p their softmax. It takes two steps. With respect to p[c], -ln d has
//! the derivative -q[c] / d. Call it h[c] and send it through the softmax: p[c] * (h[c] - <p, h>).
//! Since <p, q> is d, <p, h> is -1, and there is the formula. A is 1 where d is in [eps, 1 - eps];
//! where the clamp bites, its result is constant and A is 0.
//!
//! A step against the gradient raises the prototypes to which the teacher gives more than d, and
//! lowers the others. The teacher gets no gradient: q counts as a constant.

pub const EPS: f64 = f32::EPSILON as f64;

/// dC/ds `[V,B,N]` of a block: p `[V,B,N]`, q `[2,B,N]`.
pub fn consistency_gradient(
    views: usize,
    batch: usize,
    size: usize,
    p: &[f64],
    q: &[f64],
) -> Vec<f64> {
    let mut ds = vec![0.0; p.len()];
    let terms = ((2 * views - 2) * batch) as f64;
    for i in 0..views {
        for n in 0..batch {
            let start = (i * batch + n) * size;
            let p = &p[start..][..size];
            let ds = &mut ds[start..][..size];
            for j in (0..2).filter(|&j| j != i) {
                let q = &q[(j * batch + n) * size..][..size];
                // YOUR CODE BEGINS
                todo!("add this pair's part to ds [N]");
                // YOUR CODE ENDS
            }
        }
    }
    ds
}
