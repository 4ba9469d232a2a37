//! CARP's loss over logits, with its gradient (spec 1.4 to 1.6).
//!
//! A block k holds N_B prototypes of the random order. With the softmax p_i (student view i) and
//! q_j (teacher view j) inside the block, eps = 2^-23 and clamp to [eps, 1 - eps]:
//!
//! - `d_ij[k,n] = <p_i[k,n], q_j[k,n]>`
//! - `C = 1/(|S| P B) sum over (i,j) in S, k, n of -ln clamp(d_ij[k,n])`, S all i != j
//! - `m[k] = 1/R sum of all rows of student and teacher`, R = (V + 2) B
//! - `H = 1/P sum over k of (ln N_B + sum over c of m[k,c] ln clamp(m[k,c]))`
//!
//! The gradient by the student's logits s_i, where A_ij says that d_ij was not clamped:
//!
//! - `dC/ds_i[c] = 1/(|S| P B) sum over j of A_ij p_i[c] (1 - q_j[c] / d_ij)`
//! - `g[c] = ln clamp(m[c]) + [m[c] not clamped]`, `dH/ds_i[c] = 1/(P R) p_i[c] (g[c] - <p_i, g>)`
//!
//! Blocks need nothing of each other, so each is one task; their results are added in order.

use rayon::prelude::*;

use super::reduce::dot;
use super::softmax::softmax_in_place;
use crate::geometry::PartitionLoss;
use crate::math::ln;

/// The machine epsilon of f32.
const EPS: f32 = f32::EPSILON;

/// To [eps, 1 - eps]; NaN comes through.
fn clamp(x: f32) -> f32 {
    x.clamp(EPS, 1.0 - EPS)
}

fn is_inside(x: f32) -> bool {
    (EPS..=1.0 - EPS).contains(&x)
}

/// Elements of a block: all rows of probabilities, m, g, and the sums for C and H.
fn block_len(sizes: PartitionLoss) -> usize {
    sizes.partition_size * (sizes.rows() + 2) + 2
}

/// Elements of scratch memory for [`partition_loss`].
pub fn workspace(sizes: PartitionLoss) -> usize {
    sizes.blocks() * block_len(sizes)
}

/// Returns (C, H) and writes the gradient of C + H by the student's logits.
///
/// `student` and `grad_student` are `[V*B,K]`, `teacher` is `[2*B,K]`, view by view; `permutation`
/// is `[K]`.
pub fn partition_loss(
    sizes: PartitionLoss,
    student: &[f32],
    teacher: &[f32],
    permutation: &[u32],
    grad_student: &mut [f32],
    workspace: &mut [f32],
) -> (f64, f64) {
    let (k, size) = (sizes.prototypes, sizes.partition_size);
    let len = block_len(sizes);
    workspace.par_chunks_mut(len).zip(permutation.par_chunks(size)).for_each(|(block, index)| {
        finish_block(sizes, student, teacher, index, block);
    });

    let used = sizes.blocks() * size;
    grad_student.par_chunks_mut(k).enumerate().with_min_len(8).for_each(|(row, grad)| {
        for (block, index) in workspace.chunks_exact(len).zip(permutation.chunks_exact(size)) {
            for (&c, &g) in index.iter().zip(&block[row * size..]) {
                grad[c as usize] = g;
            }
        }
        for &surplus in &permutation[used..] {
            grad[surplus as usize] = 0.0;
        }
    });

    let (mut consistency, mut entropy) = (0.0, 0.0);
    for block in workspace.chunks_exact(len) {
        consistency += f64::from(block[len - 2]);
        entropy += f64::from(block[len - 1]);
    }
    let terms = (sizes.pairs() * sizes.blocks() * sizes.batch) as f64;
    (consistency / terms, entropy / sizes.blocks() as f64)
}

/// Turns one block's scratch memory into the gradient of its student rows, with the block's sum of
/// -ln d and its divergence at the end.
fn finish_block(
    sizes: PartitionLoss,
    student: &[f32],
    teacher: &[f32],
    index: &[u32],
    block: &mut [f32],
) {
    let PartitionLoss { views, batch, prototypes, partition_size: size } = sizes;
    let (p, rest) = block.split_at_mut(views * batch * size);
    let (q, rest) = rest.split_at_mut(2 * batch * size);
    let (mean, rest) = rest.split_at_mut(size);
    let (g, sums) = rest.split_at_mut(size);

    let rows = student.chunks_exact(prototypes).zip(p.chunks_exact_mut(size));
    let rows = rows.chain(teacher.chunks_exact(prototypes).zip(q.chunks_exact_mut(size)));
    for (logits, gathered) in rows {
        for (x, &c) in gathered.iter_mut().zip(index) {
            *x = logits[c as usize];
        }
    }
    mean.fill(0.0);
    softmax_rows(p, mean);
    softmax_rows(q, mean);
    sums[1] = divergence(sizes, mean, g) as f32;
    sums[0] = gradient_rows(sizes, 0, p, q, g) as f32;
}

/// Softmax of rows of a block, in place; adds them up to `sum` `[N_B]`.
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
pub(super) fn divergence(sizes: PartitionLoss, sum: &mut [f32], g: &mut [f32]) -> f64 {
    // As sum of m ln(N_B clamp(m)): near the uniform the logarithm is near 0, which keeps its
    // digits. ln N_B inside g changes nothing, since g - <p, g> does not see constants.
    let mut divergence = 0.0;
    for (mean, g) in sum.iter_mut().zip(g) {
        *mean /= sizes.rows() as f32;
        let log = ln(clamp(*mean) * sizes.partition_size as f32);
        divergence += f64::from(*mean * log);
        *g = if is_inside(*mean) { log + 1.0 } else { log };
    }
    divergence
}

/// Turns a block's probabilities p of the student's rows from `first` on into their gradient;
/// returns their sum of -ln d. `q` `[2*B,N_B]` are the teacher's probabilities.
pub(super) fn gradient_rows(
    sizes: PartitionLoss,
    first: usize,
    p: &mut [f32],
    q: &[f32],
    g: &[f32],
) -> f64 {
    let PartitionLoss { batch, partition_size: size, .. } = sizes;
    let terms = (sizes.pairs() * sizes.blocks() * batch) as f32;
    let by_entropy = 1.0 / (sizes.blocks() * sizes.rows()) as f32;
    let mut negative_log = 0.0;
    for (row, p) in (first..).zip(p.chunks_exact_mut(size)) {
        let (view, image) = (row / batch, row % batch);
        // Factors 1/(d_ij |S| P B) of q_0 and q_1, 0 where clamped or i = j.
        let mut factors = [0.0f32; 2];
        let mut unclamped = 0.0;
        for (j, factor) in factors.iter_mut().enumerate().filter(|(j, _)| *j != view) {
            let d = dot(p, &q[(j * batch + image) * size..][..size]);
            negative_log -= f64::from(ln(clamp(d)));
            if is_inside(d) {
                *factor = 1.0 / (d * terms);
                unclamped += 1.0 / terms;
            }
        }
        let mean_g = dot(p, g);
        let q0 = &q[image * size..][..size];
        let q1 = &q[(batch + image) * size..][..size];
        for (((p, g), q0), q1) in p.iter_mut().zip(g).zip(q0).zip(q1) {
            let consistency = unclamped - factors[0] * q0 - factors[1] * q1;
            *p *= (g - mean_g).mul_add(by_entropy, consistency);
        }
    }
    negative_log
}
