//! Passes over layers: batch norm with what follows it and with the convolution before it, and biases.

use tensor::Kernel;
use tensor::kernel::Unary;
use tensor::order::group_sums;

use super::pattern::{merged, pair};
use crate::graph::{DType, Graph, Node};

pub(super) fn batch_norm_add(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [norm, add] = pair(g, at)?;
    let (Kernel::BatchNorm(mut sizes), Kernel::Add) = (norm.kernel, add.kernel) else {
        return None;
    };
    if sizes.residual || sizes.relu {
        return None;
    }
    sizes.residual = true;
    let inputs = [&norm.inputs[..], &[add.inputs[1]]].concat();
    Some((2, merged(norm, Kernel::BatchNorm(sizes), &inputs, add.outputs[0])))
}

pub(super) fn batch_norm_relu(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [norm, relu] = pair(g, at)?;
    let (Kernel::BatchNorm(mut sizes), Kernel::Unary(Unary::Relu)) = (norm.kernel, relu.kernel)
    else {
        return None;
    };
    if sizes.relu {
        return None;
    }
    sizes.relu = true;
    Some((2, merged(norm, Kernel::BatchNorm(sizes), &norm.inputs, relu.outputs[0])))
}

/// The convolution's result is read twice, by the batch norm and by its gradient, so it stays.
pub(super) fn batch_norm_sums(g: &mut Graph, at: usize) -> Option<(usize, Vec<Node>)> {
    let [conv, norm] = g.window(at)?.map(Node::clone);
    let (Kernel::Conv2d(conv_sizes), Kernel::BatchNorm(sizes)) = (conv.kernel, norm.kernel) else {
        return None;
    };
    // With shards, batch norm has the sums of all of them.
    if !sizes.training || norm.inputs[0] != conv.outputs[0] || g.shards().all > 1 {
        return None;
    }
    let sums = g.temp(group_sums(sizes.rows, sizes.channels), DType::F32);
    let outputs = [&conv.outputs[..], &[sums]].concat();
    let (first, residual) = norm.inputs.split_at(3);
    let inputs = [first, &[sums], residual].concat();
    let conv = Node { kernel: Kernel::Conv2dSums(conv_sizes), outputs, ..conv };
    let norm = Node { kernel: Kernel::BatchNormFromSums(sizes), inputs, ..norm };
    Some((2, vec![conv, norm]))
}

pub(super) fn bias_gelu(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [bias, gelu] = pair(g, at)?;
    let (Kernel::AddBias, Kernel::Unary(Unary::Gelu)) = (bias.kernel, gelu.kernel) else {
        return None;
    };
    Some((2, merged(bias, Kernel::BiasGelu, &bias.inputs, gelu.outputs[0])))
}

pub(super) fn linear_bias(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [product, bias] = pair(g, at)?;
    let (Kernel::Gemm(sizes), Kernel::AddBias) = (product.kernel, bias.kernel) else {
        return None;
    };
    let inputs = [&product.inputs[..], &[bias.inputs[1]]].concat();
    Some((2, merged(product, Kernel::GemmBias(sizes), &inputs, bias.outputs[0])))
}
