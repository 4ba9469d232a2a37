//! The pass over gradients: batch norm's, and the convolution's that makes what goes into it.

use tensor::Kernel;
use tensor::order::group_sums;

use crate::graph::{DType, Graph, Kind, Node, Phase, Value};

/// From the gradient by a convolution's input to that of the batch norm behind it, with the sum of two
/// gradients in between or without. What else lies between them stays.
pub(super) fn batch_norm_gradient_sums(g: &mut Graph, at: usize) -> Option<(usize, Vec<Node>)> {
    let conv = &g.nodes[at];
    let Kernel::Conv2dGradInput(sizes) = conv.kernel else { return None };
    // With shards, batch norm has the sums of all of them.
    if g.shards().all > 1 {
        return None;
    }
    let (mut dy, mut end) = (conv.outputs[0], only_reader(g, conv.outputs[0])?);
    let mut sum = None;
    if g.nodes[end].kernel == Kernel::Add {
        let added = *g.nodes[end].inputs.iter().find(|&&input| input != dy)?;
        // The other gradient has to be there already.
        if g.nodes[at..end].iter().any(|node| node.outputs.contains(&added)) {
            return None;
        }
        sum = Some((end, added));
        dy = g.nodes[end].outputs[0];
        end = only_reader(g, dy)?;
    }
    let norm = &g.nodes[end];
    let Kernel::BatchNormBackward(norm_sizes) = norm.kernel else { return None };
    let [x, y, from, weight, mean, inv_std] = *norm.inputs.first_chunk()?;
    let is_backward = [conv, norm].iter().all(|node| node.phase == Phase::Backward);
    if from != dy || !is_backward {
        return None;
    }
    // What the residual gets is the same.
    let through = norm.outputs.get(3).copied().unwrap_or(dy);
    let (relu, added) = (norm_sizes.relu, sum.map(|(_, added)| added));
    let kernel = Kernel::Conv2dGradInputSums { conv: sizes, relu, added: added.is_some() };
    let inputs = conv.inputs.iter().copied().chain([x, y, mean]).chain(added).collect();
    let (conv, norm) = (conv.clone(), norm.clone());
    let sums = g.temp(group_sums(norm_sizes.rows, norm_sizes.channels), DType::F32);
    let conv = Node { kernel, inputs, outputs: vec![through, sums], ..conv };
    let norm = Node {
        kernel: Kernel::BatchNormBackwardFromSums(norm_sizes),
        inputs: vec![x, through, weight, mean, inv_std, sums],
        outputs: norm.outputs[..3].to_vec(),
        ..norm
    };
    let between = (at + 1..end).filter(|&place| sum.is_none_or(|(sum, _)| sum != place));
    let between: Vec<Node> = between.map(|place| g.nodes[place].clone()).collect();
    Some((end + 1 - at, [&[conv][..], &between, &[norm]].concat()))
}

/// The only node that reads a value, if that reads it once and nobody else needs it.
fn only_reader(g: &Graph, value: Value) -> Option<usize> {
    let info = g.info(value);
    let reads = |node: &Node| node.inputs.iter().filter(|&&input| input == value).count();
    let mut readers = (0..g.nodes.len()).filter(|&place| reads(&g.nodes[place]) > 0);
    let first = readers.next()?;
    let is_only = readers.next().is_none() && reads(&g.nodes[first]) == 1;
    (is_only && !info.kept && info.kind == Kind::Temp).then_some(first)
}
