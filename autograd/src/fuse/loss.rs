//! Passes over CARP's loss, each on the result of the one before.

use tensor::Kernel;
use tensor::geometry::{Gemm, PartitionLoss, StreamingLoss};

use super::pattern::matches;
use crate::graph::{DType, Graph, Node};
use crate::ops::carp_loss;

/// The pattern is the list that [`carp_loss::op_by_op`] appends for these sizes.
pub(super) fn partition_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [gather, reshape, _, teacher] = g.window(at)?;
    let (Kernel::GatherColumns { columns }, Kernel::GatherColumns { .. }) =
        (gather.kernel, teacher.kernel)
    else {
        return None;
    };
    let inputs = [gather.inputs[0], teacher.inputs[0], gather.inputs[1]];
    let [rows, teacher_rows] = [inputs[0], inputs[1]].map(|logits| g.shape(logits)[0]);
    let batch = (teacher_rows / 2).max(1);
    let size = *g.shape(reshape.outputs[0]).get(1)?;
    let sizes = PartitionLoss::new(rows / batch, batch, columns, size).ok()?;

    let mut pattern = Graph::new();
    let [s, t] = [rows, teacher_rows].map(|rows| pattern.input("", [rows, columns]));
    let order = pattern.input_u32("", [columns]);
    let terms = carp_loss::op_by_op(&mut pattern, sizes, [s, t, order]).ok()?;
    let terms = [terms.loss, terms.consistency, terms.entropy];
    let (len, terms) = matches(g, at, &pattern, &[s, t, order], &inputs, terms)?;
    // The kernel knows the gradient of the whole loss alone: C and H are for reading.
    if terms[1..].iter().any(|&term| g.is_read(term, at..at + len)) {
        return None;
    }

    let first = g.nodes[at].clone();
    let grad = g.temp(g.shape(inputs[0]), DType::F32);
    let outputs = [&terms[..], &[grad]].concat();
    let kernel = Kernel::PartitionLoss(sizes);
    Some((len, Node { kernel, inputs: inputs.to_vec(), outputs, ..first }))
}

pub(super) fn streaming_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [teacher_norm, teacher, norm, student, loss] = g.window(at)?;
    let (
        Kernel::L2Normalize { eps: 0.0, .. },
        Kernel::Gemm(teacher_product),
        Kernel::L2Normalize { eps: 0.0, .. },
        Kernel::Gemm(product),
        Kernel::PartitionLoss(sizes),
    ) = (teacher_norm.kernel, teacher.kernel, norm.kernel, student.kernel, loss.kernel)
    else {
        return None;
    };
    let is_logits = |gemm: Gemm| !gemm.trans_a && gemm.trans_b;
    let flows = is_logits(teacher_product)
        && is_logits(product)
        && teacher_product.k == product.k
        && teacher.inputs[1] == teacher_norm.outputs[0]
        && student.inputs[1] == norm.outputs[0]
        && loss.inputs[..2] == [student.outputs[0], teacher.outputs[0]];
    let inner = [teacher_norm, teacher, norm, student].into_iter().flat_map(|node| &node.outputs);
    if !flows || !inner.into_iter().all(|&value| g.is_inner(value, at..at + 5)) {
        return None;
    }
    let dim = product.k;
    let [v, vt] = [norm.inputs[0], teacher_norm.inputs[0]];
    let inputs = vec![student.inputs[0], teacher.inputs[0], v, vt, loss.inputs[2]];
    let (terms, node) = (loss.outputs[..3].to_vec(), loss.clone());
    let grads = [inputs[0], v].map(|value| g.temp(g.shape(value), DType::F32));
    let sizes = StreamingLoss { loss: sizes, dim, views_at_once: sizes.views };
    let outputs = [&terms[..], &grads].concat();
    Some((5, Node { kernel: Kernel::StreamingLoss(sizes), inputs, outputs, ..node }))
}

pub(super) fn tiled_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [loss] = g.window(at)?;
    let Kernel::StreamingLoss(sizes) = loss.kernel else { return None };
    let kernel = Kernel::StreamingLoss(StreamingLoss { views_at_once: 1, ..sizes });
    (sizes.views_at_once > 1).then(|| (1, Node { kernel, ..loss.clone() }))
}
