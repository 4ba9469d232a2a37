//! The three layers with parameters: convolution, batch norm, linear.
//!
//! Each is built once (`new` adds its tensors) and applied any number of times (`forward` adds
//! ops).

use autograd::{BatchNormParams, Graph, Result, Value};

use super::params::{Init, Params};

/// PyTorch's default: added to the variance.
pub const BN_EPS: f32 = 1e-5;
/// PyTorch's default: share of the new batch in the running statistics.
const BN_MOMENTUM: f32 = 0.1;

/// A square convolution without bias.
pub struct Conv {
    name: String,
    weight: Value,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// Weight `[O,kernel,kernel,I]`, normal with standard deviation sqrt(2 / fan-out), as in
    /// torchvision's ResNets.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        name: &str,
        (inputs, outputs): (usize, usize),
        (kernel, stride, padding): (usize, usize, usize),
    ) -> Conv {
        let std = (2.0 / (outputs * kernel * kernel) as f32).sqrt();
        let shape = [outputs, kernel, kernel, inputs];
        let weight =
            graph.scope(name, |graph| params.weight(graph, "weight", shape, Init::Normal(std)));
        Conv { name: name.to_owned(), weight, stride, padding }
    }

    /// x `[N,H,W,I]` to `[N,P,Q,O]`.
    ///
    /// # Errors
    /// Channels that differ, or a kernel larger than the padded image.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Result<Value> {
        graph.scope(&self.name, |graph| graph.conv2d(x, self.weight, self.stride, self.padding))
    }
}

/// Batch norm over the last dimension.
pub struct BatchNorm {
    name: String,
    params: BatchNormParams,
}

impl BatchNorm {
    /// Scale `gamma` everywhere, shift 0, running mean 0 and variance 1.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        name: &str,
        channels: usize,
        gamma: f32,
    ) -> BatchNorm {
        let shape = [channels];
        let params = graph.scope(name, |graph| BatchNormParams {
            weight: params.weight(graph, "weight", shape, Init::Constant(gamma)),
            bias: params.weight(graph, "bias", shape, Init::Constant(0.0)),
            running_mean: params.buffer(graph, "running_mean", shape, Init::Constant(0.0)),
            running_var: params.buffer(graph, "running_var", shape, Init::Constant(1.0)),
        });
        BatchNorm { name: name.to_owned(), params }
    }

    /// Batch norm of x `[.., C]`.
    ///
    /// # Errors
    /// Training with one value per channel.
    pub fn forward(&self, graph: &mut Graph, x: Value, training: bool) -> Result<Value> {
        graph.scope(&self.name, |graph| {
            graph.batch_norm(x, self.params, training, BN_EPS, BN_MOMENTUM)
        })
    }
}

/// A linear layer, with bias or without.
pub struct Linear {
    name: String,
    weight: Value,
    bias: Option<Value>,
}

impl Linear {
    /// Weight `[O,I]`; the bias, if any, follows it in the list of tensors.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        name: &str,
        (inputs, outputs): (usize, usize),
        weight: Init,
        bias: Option<Init>,
    ) -> Linear {
        let (weight, bias) = graph.scope(name, |graph| {
            (
                params.weight(graph, "weight", [outputs, inputs], weight),
                bias.map(|init| params.weight(graph, "bias", [outputs], init)),
            )
        });
        Linear { name: name.to_owned(), weight, bias }
    }

    /// x `[N,I]` to `[N,O]`.
    ///
    /// # Errors
    /// If x does not have I columns.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Result<Value> {
        graph.scope(&self.name, |graph| graph.linear(x, self.weight, self.bias))
    }
}
