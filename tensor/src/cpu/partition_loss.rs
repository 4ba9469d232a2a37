//! CARP's loss over logits, with its gradient (docs/method.md, 1.4 to 1.6).
//!
//! A block k holds N_B prototypes of the random order. With the softmax p_i (student view i) and
//! q_j (teacher view j) inside the block, eps = 2^-23 and clamp to [eps, 1 - eps]:
//!
//! - `d_ij[k,n] = <p_i[k,n], q_j[k,n]>`
//! - `C = 1/(|S| P B) sum over (i,j) in S, k, n of -ln clamp(d_ij[k,n])`, S all i != j
//! - `m[k] = 1/R sum of all rows of student and teacher`, R = (V + 2) B
//! - `H = 1/P sum over k of (ln N_B + sum over c of m[k,c] ln clamp(m[k,c]))`
//!
//! The gradient by the student's logits s_i, with A_ij = 1 if d_ij is not clamped, else 0:
//!
//! - `dC/ds_i[c] = 1/(|S| P B) sum over j of A_ij p_i[c] (1 - q_j[c] / d_ij)`
//! - `g[c] = ln clamp(m[c]) + [m[c] not clamped]`, `dH/ds_i[c] = 1/(P R) p_i[c] (g[c] - <p_i, g>)`
//!
//! Blocks are independent, and rows interact only through m: the softmax of a row, and then its
//! gradient, is one task each; results are added in order.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::reduce::{dot, sum_rows, sum_rows_workspace};
use super::softmax::softmax_in_place;
use crate::geometry::PartitionLoss;
use crate::math::ln;

/// The machine epsilon of f32.
const EPS: f32 = f32::EPSILON;

/// Clamps to [eps, 1 - eps]; NaN propagates.
#[inline(always)]
fn clamp(x: f32) -> f32 {
    x.clamp(EPS, 1.0 - EPS)
}

#[inline(always)]
fn is_inside(x: f32) -> bool {
    (EPS..=1.0 - EPS).contains(&x)
}

/// Elements of scratch memory for [`partition_loss`]: the probabilities of all rows in the order of
/// the permutation, m, g, a sum per student row, and the scratch memory of the sum over rows.
pub fn workspace(sizes: PartitionLoss) -> usize {
    let used = sizes.blocks() * sizes.partition_size;
    (sizes.rows() + 2) * used + sizes.views * sizes.batch + sum_rows_workspace(sizes.rows(), used)
}

/// Returns (C, H) and writes the gradient of C + H by the student's logits.
///
/// `student` and `grad_student` are `[V*B,K]`, `teacher` is `[2*B,K]`, view by view; `permutation`
/// is `[K]`. Works row by row, so that a row stays in cache while its elements are read in random
/// order.
#[multiversion(isa)]
pub fn partition_loss(
    isa: Isa,
    sizes: PartitionLoss,
    student: &[f32],
    teacher: &[f32],
    permutation: &[u32],
    grad_student: &mut [f32],
    workspace: &mut [f32],
) -> (f64, f64) {
    let PartitionLoss { views, batch, prototypes, partition_size: size } = sizes;
    let used = sizes.blocks() * size;
    let (index, surplus) = permutation.split_at(used);
    let (probabilities, rest) = workspace.split_at_mut(sizes.rows() * used);
    let (mean, rest) = rest.split_at_mut(used);
    let (g, rest) = rest.split_at_mut(used);
    let (row_sums, rest) = rest.split_at_mut(views * batch);

    let logits = student.par_chunks(prototypes).chain(teacher.par_chunks(prototypes));
    probabilities.par_chunks_mut(used).zip(logits).for_each(|(row, logits)| {
        for (x, &c) in row.iter_mut().zip(index) {
            *x = logits[c as usize];
        }
        for block in row.chunks_exact_mut(size) {
            softmax_in_place(block);
        }
    });
    sum_rows(isa, probabilities, mean, rest);
    let blocks = mean.chunks_exact_mut(size).zip(g.chunks_exact_mut(size));
    let entropy: f64 = blocks.map(|(mean, g)| divergence(sizes, mean, g)).sum();

    let (p, q) = probabilities.split_at_mut(views * batch * used);
    p.par_chunks_mut(used)
        .zip(grad_student.par_chunks_mut(prototypes))
        .zip(&mut *row_sums)
        .enumerate()
        .for_each(|(row, ((p, grad), sum))| {
            let image = row % batch;
            let q = [image, batch + image].map(|row| &q[row * used..][..used]);
            let blocks = p.chunks_exact_mut(size).zip(g.chunks_exact(size));
            let q = q[0].chunks_exact(size).zip(q[1].chunks_exact(size));
            let negative_log: f64 = blocks
                .zip(q)
                .map(|((p, g), (q0, q1))| gradient_row(sizes, row / batch, p, [q0, q1], g))
                .sum();
            *sum = negative_log as f32;
            for (&c, &g) in index.iter().zip(&*p) {
                grad[c as usize] = g;
            }
            for &c in surplus {
                grad[c as usize] = 0.0;
            }
        });

    let consistency: f64 = row_sums.iter().map(|&sum| f64::from(sum)).sum();
    (consistency / sizes.terms() as f64, entropy / sizes.blocks() as f64)
}

/// Softmax of rows of a block, in place; accumulates them in `sum` `[N_B]`.
#[inline(always)]
pub(super) fn softmax_rows(rows: &mut [f32], sum: &mut [f32]) {
    for row in rows.chunks_exact_mut(sum.len()) {
        softmax_in_place(row);
        for (sum, p) in sum.iter_mut().zip(&*row) {
            *sum += p;
        }
    }
}

/// Returns a block's divergence from the sum of its rows' probabilities, and writes g, both
/// `[N_B]`; `sum` becomes m.
#[inline(always)]
pub(super) fn divergence(sizes: PartitionLoss, sum: &mut [f32], g: &mut [f32]) -> f64 {
    // As sum of m ln(N_B clamp(m)): near uniform the logarithm is near 0, which keeps precision. ln
    // N_B inside g changes nothing, since g - <p, g> cancels constants.
    let mut divergence = 0.0;
    for (mean, g) in sum.iter_mut().zip(g) {
        *mean /= sizes.rows() as f32;
        let log = ln(clamp(*mean) * sizes.partition_size as f32);
        divergence += f64::from(*mean * log);
        *g = if is_inside(*mean) { log + 1.0 } else { log };
    }
    divergence
}

/// Turns the probabilities p of a row of a student view inside a block into their gradient; returns
/// its sum of -ln d. `q` are the same image's probabilities by the two teacher views.
#[inline(always)]
pub(super) fn gradient_row(
    sizes: PartitionLoss,
    view: usize,
    p: &mut [f32],
    q: [&[f32]; 2],
    g: &[f32],
) -> f64 {
    let terms = sizes.terms() as f32;
    let by_entropy = 1.0 / (sizes.blocks() * sizes.rows()) as f32;
    // Factors 1/(d_ij |S| P B) of q_0 and q_1, 0 where clamped or i = j.
    let mut factors = [0.0f32; 2];
    let mut unclamped = 0.0;
    let mut negative_log = 0.0;
    for (j, factor) in factors.iter_mut().enumerate().filter(|(j, _)| *j != view) {
        let d = dot(p, q[j]);
        negative_log -= f64::from(ln(clamp(d)));
        if is_inside(d) {
            *factor = 1.0 / (d * terms);
            unclamped += 1.0 / terms;
        }
    }
    let mean_g = dot(p, g);
    for (((p, g), q0), q1) in p.iter_mut().zip(g).zip(q[0]).zip(q[1]) {
        let consistency = unclamped - factors[0] * q0 - factors[1] * q1;
        *p *= (g - mean_g).mul_add(by_entropy, consistency);
    }
    negative_log
}
