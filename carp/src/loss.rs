//! CARP's loss, and the ladder of its variants (spec 1.4 and 1.5; paper, section 3).
//!
//! All variants take the same inputs and give the same numbers and gradients; they differ in what
//! they keep in memory and in how often they go through it. `docs/fusion.md` walks through them.

use autograd::{Graph, LossInputs, LossTerms, Result, Value};
use serde::{Deserialize, Serialize};

/// How the loss is computed; from first to last, more is fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossVariant {
    /// Op by op, as one writes it in PyTorch. Keeps logits, probabilities and every product.
    Unfused,
    /// Keeps the logits; softmax, C, H and their gradient are one op per block.
    FusedSoftmax,
    /// From embeddings and prototypes block by block; logits of all prototypes never exist.
    Streaming,
    /// As streaming, and within a block view by view: a view's logits stay in the core's cache from
    /// the matrix product to the softmax, and from the gradient to its matrix products.
    StreamingTiled,
}

impl LossVariant {
    /// All variants, up the ladder.
    pub const ALL: [LossVariant; 4] = [
        LossVariant::Unfused,
        LossVariant::FusedSoftmax,
        LossVariant::Streaming,
        LossVariant::StreamingTiled,
    ];

    /// Its name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            LossVariant::Unfused => "unfused",
            LossVariant::FusedSoftmax => "fused-softmax",
            LossVariant::Streaming => "streaming",
            LossVariant::StreamingTiled => "streaming-tiled",
        }
    }

    /// The variant of this name.
    pub fn from_name(name: &str) -> Option<LossVariant> {
        LossVariant::ALL.into_iter().find(|variant| variant.name() == name)
    }
}

/// Appends the loss over blocks of `partition_size` prototypes.
///
/// # Errors
/// Shapes that do not fit, fewer than two views, or a partition size of 0 or above K.
pub fn carp_loss(
    graph: &mut Graph,
    variant: LossVariant,
    inputs: LossInputs,
    partition_size: usize,
) -> Result<LossTerms> {
    let views = inputs.sizes(graph, partition_size)?.views;
    match variant {
        LossVariant::Streaming => graph.streaming_loss(inputs, partition_size, views),
        LossVariant::StreamingTiled => graph.streaming_loss(inputs, partition_size, 1),
        LossVariant::FusedSoftmax => {
            let (student, teacher) = logits(graph, inputs)?;
            graph.partition_loss(student, teacher, inputs.permutation, partition_size)
        }
        LossVariant::Unfused => unfused(graph, inputs, partition_size),
    }
}

/// Logits `s = z w^T` with `w = v / |v|`, of student `[V*B,K]` and teacher `[2*B,K]`.
fn logits(graph: &mut Graph, inputs: LossInputs) -> Result<(Value, Value)> {
    let mut product = |embeddings, prototypes| {
        let prototypes = graph.weight_norm(prototypes);
        graph.matmul(embeddings, false, prototypes, true)
    };
    let teacher = product(inputs.teacher, inputs.teacher_prototypes)?;
    Ok((product(inputs.student, inputs.student_prototypes)?, teacher))
}

fn unfused(graph: &mut Graph, inputs: LossInputs, size: usize) -> Result<LossTerms> {
    let sizes = inputs.sizes(graph, size)?;
    let (views, batch, blocks) = (sizes.views, sizes.batch, sizes.blocks());
    let used = blocks * size;
    let clamp = |graph: &mut Graph, x| graph.clamp(x, f32::EPSILON, 1.0 - f32::EPSILON);

    // p [V*B*P, N_B] and q [2*B*P, N_B]: the softmax of every row inside each of its blocks.
    let (student, teacher) = logits(graph, inputs)?;
    let mut probabilities = |logits, rows: usize| {
        let gathered = graph.gather_columns(logits, inputs.permutation, used)?;
        let rows = graph.reshape(gathered, [rows * blocks, size])?;
        Ok(graph.softmax(rows))
    };
    let p = probabilities(student, views * batch)?;
    let q = probabilities(teacher, 2 * batch)?;

    // C: d_ij = <p_i, q_j> for all views i and both j, without those where i = j.
    let mut products = Vec::new();
    for j in 0..2 {
        let q_j = graph.slice_rows(q, j * batch * blocks, batch * blocks)?;
        let q_j = graph.concat_rows(&vec![q_j; views])?;
        let pq = graph.mul(p, q_j)?;
        let d = graph.sum_columns(pq);
        for i in (0..views).filter(|&i| i != j) {
            products.push(graph.slice_rows(d, i * batch * blocks, batch * blocks)?);
        }
    }
    let d = graph.concat_rows(&products)?;
    let d = clamp(graph, d);
    let log = graph.ln(d);
    let mean = graph.mean(log);
    let consistency = graph.scale(mean, -1.0);

    // H: m = mean over all rows of student and teacher; mean over blocks of ln N_B + sum of m ln m.
    let all = graph.concat_rows(&[p, q])?;
    let all = graph.reshape(all, [sizes.rows(), used])?;
    let sum = graph.sum_rows(all);
    let m = graph.scale(sum, 1.0 / sizes.rows() as f32);
    let m_clamped = clamp(graph, m);
    let log = graph.ln(m_clamped);
    let terms = graph.mul(m, log)?;
    let sum = graph.sum(terms);
    let mean = graph.scale(sum, 1.0 / blocks as f32);
    let log_size = graph.fill([1], (size as f32).ln());
    let entropy = graph.add(mean, log_size)?;

    let loss = graph.add(consistency, entropy)?;
    Ok(LossTerms { loss, consistency, entropy })
}
