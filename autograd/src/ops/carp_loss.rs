//! CARP's loss: consistency C plus entropy H over the blocks of a random partition (docs/method.md,
//! 1.4 to 1.6).
//!
//! Student views i, teacher views j (0 and 1), blocks k, images n, prototypes c of a block; p and q
//! are the softmax inside each block, and clamp is to [eps, 1 - eps] with eps = 2^-23.
//!
//! - `d_ij[k,n] = <p_i[k,n], q_j[k,n]>`, `C = mean over i != j, k, n of -ln clamp(d_ij[k,n])`
//! - `m[k] = mean over all rows of student and teacher`,
//!   `H = mean over k of (ln N_B + sum over c of m[k,c] ln clamp(m[k,c]))`
//!
//! It is appended op by op, as one would write it in PyTorch; `fuse.rs` merges it into one kernel.
//! Softmax, C and H each stay within one block, so the fused kernels compute the student's gradient
//! of C + H along with the loss, and their vector-Jacobian product only scales it.

use tensor::geometry::PartitionLoss;
use tensor::{Error, Kernel, Result};

use crate::graph::{DType, Gradients, Graph, Node, Value};

/// The inputs of CARP's loss.
#[derive(Clone, Copy, Debug)]
pub struct LossInputs {
    /// Student embeddings `[V*B,D]`, view by view; views 0 and 1 are the teacher's.
    pub student: Value,
    /// Teacher embeddings `[2*B,D]`: a constant.
    pub teacher: Value,
    /// Student prototypes `[K,D]` before weight norm.
    pub student_prototypes: Value,
    /// Teacher prototypes `[K,D]` before weight norm: a constant.
    pub teacher_prototypes: Value,
    /// Random order of the prototypes, `[K]` of u32.
    pub permutation: Value,
}

/// The three scalars of CARP's loss, `[1]` each.
#[derive(Clone, Copy, Debug)]
pub struct LossTerms {
    /// C + H.
    pub loss: Value,
    /// C.
    pub consistency: Value,
    /// H.
    pub entropy: Value,
}

impl Graph {
    /// CARP's loss of embeddings and prototypes, over blocks of `partition_size` prototypes. Logits
    /// are `s = z w^T` with `w = v / |v|`.
    ///
    /// # Errors
    /// Shapes that do not fit, fewer than two views, or a partition size of 0 or above K.
    pub fn carp_loss(&mut self, inputs: LossInputs, partition_size: usize) -> Result<LossTerms> {
        let teacher = self.weight_norm(inputs.teacher_prototypes);
        let teacher = self.matmul(inputs.teacher, false, teacher, true)?;
        let student = self.weight_norm(inputs.student_prototypes);
        let student = self.matmul(inputs.student, false, student, true)?;
        self.carp_loss_of_logits(student, teacher, inputs.permutation, partition_size)
    }

    /// CARP's loss of student logits `[V*B,K]` (view by view; views 0 and 1 are the teacher's) and
    /// teacher logits `[2*B,K]`, over blocks of `partition_size` prototypes in the order of
    /// `permutation` `[K]` (u32).
    ///
    /// # Errors
    /// As [`Graph::carp_loss`].
    pub fn carp_loss_of_logits(
        &mut self,
        student: Value,
        teacher: Value,
        permutation: Value,
        partition_size: usize,
    ) -> Result<LossTerms> {
        let [s, t, p] = [student, teacher, permutation].map(|v| self.shape(v));
        let fits = s.len() == 2
            && t.len() == 2
            && s[1] == t[1]
            && t[0] > 0
            && t[0] % 2 == 0
            && s[0] % (t[0] / 2) == 0
            && p[..] == [s[1]]
            && self.info(permutation).dtype == DType::U32;
        if !fits {
            let detail = format!(
                "logits of student {s} and teacher {t}, permutation {p}: should be [V*B,K], [2*B,K], [K]"
            );
            return Err(Error::shape("carp_loss", detail));
        }
        let batch = t[0] / 2;
        let sizes = PartitionLoss::new(s[0] / batch, batch, s[1], partition_size)?;
        op_by_op(self, sizes, [student, teacher, permutation])
    }
}

/// The loss as one would write it in PyTorch: what the fused kernels compute, and the pattern that
/// `fuse.rs` matches.
pub(crate) fn op_by_op(
    g: &mut Graph,
    sizes: PartitionLoss,
    [student, teacher, permutation]: [Value; 3],
) -> Result<LossTerms> {
    let PartitionLoss { views, batch, partition_size: size, .. } = sizes;
    let blocks = sizes.blocks();
    let used = blocks * size;
    let clamp = |g: &mut Graph, x| g.clamp(x, f32::EPSILON, 1.0 - f32::EPSILON);

    // p [V*B*P, N_B] and q [2*B*P, N_B]: the softmax of every row inside each of its blocks.
    let mut probabilities = |logits, rows: usize| {
        let gathered = g.gather_columns(logits, permutation, used)?;
        let rows = g.reshape(gathered, [rows * blocks, size])?;
        Ok::<_, Error>(g.softmax(rows))
    };
    let p = probabilities(student, views * batch)?;
    let q = probabilities(teacher, 2 * batch)?;

    // C: d_ij = <p_i, q_j> for all views i and both j, without those where i = j.
    let mut products = Vec::new();
    for j in 0..2 {
        let q_j = g.slice_rows(q, j * batch * blocks, batch * blocks)?;
        let q_j = g.concat_rows(&vec![q_j; views])?;
        let pq = g.mul(p, q_j)?;
        let d = g.sum_columns(pq);
        for i in (0..views).filter(|&i| i != j) {
            products.push(g.slice_rows(d, i * batch * blocks, batch * blocks)?);
        }
    }
    let d = g.concat_rows(&products)?;
    let d = clamp(g, d);
    let log = g.ln(d);
    let mean = g.mean(log);
    let shards = g.shards().all;
    let mean = g.sum_shards(mean);
    let consistency = g.scale(mean, -1.0 / shards as f32);

    // H: m = mean over all rows of student and teacher; mean over blocks of ln N_B + sum of m ln m, as
    // sum of m ln(N_B m): near uniform the logarithm is near 0, which keeps its digits.
    let all = g.concat_rows(&[p, q])?;
    let all = g.reshape(all, [sizes.rows(), used])?;
    let sum = g.sum_rows(all);
    let sum = g.sum_shards(sum);
    let m = g.scale(sum, 1.0 / (shards * sizes.rows()) as f32);
    let m_clamped = clamp(g, m);
    let share = g.scale(m_clamped, size as f32);
    let log = g.ln(share);
    let terms = g.mul(m, log)?;
    let sum = g.sum(terms);
    let entropy = g.scale(sum, 1.0 / blocks as f32);

    let loss = g.add(consistency, entropy)?;
    Ok(LossTerms { loss, consistency, entropy })
}

/// The fused kernels output their gradients by the student's inputs (0, and for the streaming loss
/// 2) after the three terms.
pub(super) fn vjp(g: &mut Graph, node: &Node, dy: Value, wanted: &[bool]) -> Gradients {
    let inputs: &[usize] = if let Kernel::StreamingLoss(_) = node.kernel { &[0, 2] } else { &[0] };
    if (0..wanted.len()).any(|input| wanted[input] && !inputs.contains(&input)) {
        let detail = "only the student has a gradient: the teacher is a constant";
        return Err(Error::setting(node.kernel.name(), detail));
    }
    let mut gradients = vec![None; node.inputs.len()];
    for (&input, &gradient) in inputs.iter().zip(&node.outputs[3..]) {
        gradients[input] = Some(g.scale_by(dy, gradient)?);
    }
    Ok(gradients)
}
