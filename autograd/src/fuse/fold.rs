//! Batch norm folded into the convolution before it, for inference: with `s = gamma / sqrt(var + eps)`,
//! `s (conv(x, w) - mean) + beta = conv(x, s w) + (beta - s mean)`.

use tensor::Kernel;
use tensor::geometry::BatchNorm;

use super::pattern::pair;
use crate::graph::{Graph, Kind, Node, Value};
use crate::ops::batch_norm::BatchNormParams;

/// A batch norm that has become part of the convolution before it: see [`Graph::fold_batch_norms`].
pub struct FoldedNorm {
    /// The convolution's weight `[O,R,S,C]`.
    pub weight: Value,
    /// The batch norm's tensors `[O]`.
    pub norm: BatchNormParams,
    eps: f32,
}

impl FoldedNorm {
    /// From the layers' numbers, those that the list now wants in the places of the convolution's
    /// weight and of the batch norm's bias.
    pub fn fold(
        &self,
        weight: &[f32],
        [gamma, beta, mean, var]: [&[f32]; 4],
    ) -> (Vec<f32>, Vec<f32>) {
        let scale =
            |o: usize| f64::from(gamma[o]) / (f64::from(var[o]) + f64::from(self.eps)).sqrt();
        let scales: Vec<f64> = (0..gamma.len()).map(scale).collect();
        let filters = weight.chunks_exact(weight.len() / gamma.len()).zip(&scales);
        let weight = filters
            .flat_map(|(filter, scale)| filter.iter().map(move |&w| (f64::from(w) * scale) as f32));
        let shifted =
            |(o, scale): (usize, &f64)| (f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32;
        (weight.collect(), scales.iter().enumerate().map(shifted).collect())
    }
}

impl Graph {
    /// Replaces every batch norm in inference that follows a convolution by a bias, with the residual
    /// and ReLU that it has. The host must then write what [`FoldedNorm::fold`] says. Run it after
    /// [`Graph::fuse`]; the other tensors of these batch norms are no longer read.
    pub fn fold_batch_norms(&mut self) -> Vec<FoldedNorm> {
        (0..self.nodes.len()).filter_map(|at| self.fold_batch_norm(at)).collect()
    }

    fn fold_batch_norm(&mut self, at: usize) -> Option<FoldedNorm> {
        let [conv, node] = pair(self, at)?;
        let (Kernel::Conv2d(_), Kernel::BatchNorm(sizes)) = (conv.kernel, node.kernel) else {
            return None;
        };
        let BatchNorm { eps, training, residual, relu, .. } = sizes;
        let kernel = if relu { Kernel::BiasRelu { residual } } else { Kernel::AddBias };
        let weight = conv.inputs[1];
        let norm = BatchNormParams {
            weight: node.inputs[1],
            bias: node.inputs[2],
            running_mean: node.outputs[3],
            running_var: node.outputs[4],
        };
        // Others that read them want the layers' own numbers.
        let can_change =
            |value: Value| self.info(value).kind != Kind::Temp && !self.is_read(value, at..at + 2);
        if training || (residual && !relu) || !can_change(weight) || !can_change(norm.bias) {
            return None;
        }
        let inputs = [&[node.inputs[0], norm.bias], &node.inputs[3..]].concat();
        let outputs = vec![node.outputs[0]];
        self.nodes[at + 1] = Node { kernel, inputs, outputs, ..node.clone() };
        Some(FoldedNorm { weight, norm, eps })
    }
}
