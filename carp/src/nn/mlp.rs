//! Linear layers with batch norm and an activation between them, as the heads of all methods have;
//! tensors have the names of a PyTorch `Sequential`.

use autograd::{Graph, Result, Value};
use tensor::kernel::Unary;

use super::layers::{BatchNorm, Linear};
use super::params::{Init, Params};

/// Initial weights and biases of linear layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinearInit {
    /// Weights normal with this standard deviation, biases 0.
    Normal(f32),
    /// PyTorch's default: both uniform within 1 / sqrt(inputs).
    Uniform,
}

/// What determines a stack of linear layers.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpConfig {
    /// Outputs of each linear layer.
    pub widths: Vec<usize>,
    /// Batch norm after each linear layer but the last.
    pub batch_norm: bool,
    /// After that.
    pub activation: Unary,
    /// Biases of all linear layers but the last.
    pub biases: bool,
    /// The last one's bias.
    pub last_bias: bool,
    /// Initial weights.
    pub init: LinearInit,
}

impl MlpConfig {
    /// Linear, batch norm and ReLU, and so on up to a linear layer, all with biases and PyTorch's
    /// initial weights.
    pub fn relu(widths: &[usize]) -> MlpConfig {
        MlpConfig {
            widths: widths.to_vec(),
            batch_norm: true,
            activation: Unary::Relu,
            biases: true,
            last_bias: true,
            init: LinearInit::Uniform,
        }
    }
}

/// The layers.
pub struct Mlp {
    linears: Vec<Linear>,
    norms: Vec<BatchNorm>,
    activation: Unary,
}

impl Mlp {
    /// Adds the tensors, first those of the linear layers, over rows of `inputs`.
    pub fn new(graph: &mut Graph, params: &mut Params, inputs: usize, config: &MlpConfig) -> Mlp {
        let MlpConfig { widths, batch_norm, activation, .. } = config;
        // Linear, norm and activation, or without norm linear and activation.
        let stride = if *batch_norm { 3 } else { 2 };
        let mut inputs = inputs;
        let mut linears = Vec::new();
        for (place, &outputs) in widths.iter().enumerate() {
            let is_last = place + 1 == widths.len();
            let has_bias = if is_last { config.last_bias } else { config.biases };
            let (weight, bias) = match config.init {
                LinearInit::Normal(std) => (Init::Normal(std), Init::Constant(0.0)),
                LinearInit::Uniform => [Init::Uniform(1.0 / (inputs as f32).sqrt()); 2].into(),
            };
            let (name, sizes) = ((stride * place).to_string(), (inputs, outputs));
            linears.push(Linear::new(
                graph,
                params,
                &name,
                sizes,
                weight,
                has_bias.then_some(bias),
            ));
            inputs = outputs;
        }
        let inner = widths.iter().take(widths.len().saturating_sub(1)).enumerate();
        let mut norm = |(place, &width): (usize, &usize)| {
            BatchNorm::new(graph, params, &(stride * place + 1).to_string(), width, 1.0)
        };
        let norms = if *batch_norm { inner.map(&mut norm).collect() } else { Vec::new() };
        Mlp { linears, norms, activation: *activation }
    }

    /// Rows `[N,I]` to `[N,O]`.
    ///
    /// # Errors
    /// Rows of another length, or training with one row.
    pub fn forward(&self, graph: &mut Graph, x: Value, training: bool) -> Result<Value> {
        let mut x = x;
        for (place, linear) in self.linears.iter().enumerate() {
            x = linear.forward(graph, x)?;
            if place + 1 == self.linears.len() {
                break;
            }
            let mut layer = 2 * place + 1;
            if let Some(norm) = self.norms.get(place) {
                x = norm.forward(graph, x, training)?;
                layer = 3 * place + 2;
            }
            x = graph.scope(&layer.to_string(), |graph| graph.unary(self.activation, x));
        }
        Ok(x)
    }
}
