//! The projection head and the prototypes (docs/method.md, 1.2).
//!
//! Linear, BN, GELU, Linear, BN, GELU, Linear to the embedding z `[N,D]`, which is *not*
//! normalised (but see [`HeadConfig::embedding_length`]). The logits `s_c = <z, v_c / |v_c|>` of K
//! weight-normalised prototypes, without bias or temperature, belong to the loss: the length of z
//! sets the sharpness.

use autograd::{Graph, Result, Value};

use super::layers::{BatchNorm, Linear};
use super::params::{Init, Params};

/// Standard deviation of the linear layers' initial weights.
const INIT_STD: f32 = 0.02;

/// Shorter embeddings are divided by this where embeddings are normalised: PyTorch's `normalize`.
const LEAST_LENGTH: f32 = 1e-12;

/// Sizes of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadConfig {
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Length D of the embedding.
    pub bottleneck: usize,
    /// Number K of prototypes.
    pub prototypes: usize,
    /// Length that embeddings are scaled to; 0 leaves theirs.
    pub embedding_length: f32,
}

/// The head's layers.
pub struct Head {
    linears: [Linear; 3],
    norms: [BatchNorm; 2],
    /// The prototypes before weight norm, v `[K,D]`.
    pub weight_v: Value,
    embedding_length: f32,
}

impl Head {
    /// Adds the tensors of a head over `features` inputs.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        features: usize,
        config: &HeadConfig,
    ) -> Head {
        let HeadConfig { hidden, bottleneck, prototypes, embedding_length } = *config;
        let mut linear = |name: &str, sizes| Linear::new(graph, params, name, sizes, INIT_STD);
        let linears = [
            linear("mlp.0", (features, hidden)),
            linear("mlp.3", (hidden, hidden)),
            linear("mlp.6", (hidden, bottleneck)),
        ];
        let norms = ["mlp.1", "mlp.4"].map(|name| BatchNorm::new(graph, params, name, hidden, 1.0));
        // The prototypes start like PyTorch's Linear, not like the rest of the head
        // (docs/method.md, 1.2).
        let init = Init::Uniform(1.0 / (bottleneck as f32).sqrt());
        let weight_v = graph.scope("last_layer", |graph| {
            params.weight(graph, "weight_v", [prototypes, bottleneck], init)
        });
        Head { linears, norms, weight_v, embedding_length }
    }

    /// Features `[N,F]` to embeddings `[N,D]`.
    ///
    /// # Errors
    /// Features of the wrong length, or training with one row.
    pub fn embed(&self, graph: &mut Graph, features: Value, training: bool) -> Result<Value> {
        let [first, second, last] = &self.linears;
        let mut x = features;
        for (i, (linear, norm)) in [first, second].into_iter().zip(&self.norms).enumerate() {
            x = linear.forward(graph, x)?;
            x = norm.forward(graph, x, training)?;
            x = graph.scope(&format!("mlp.{}", 3 * i + 2), |graph| graph.gelu(x));
        }
        let z = last.forward(graph, x)?;
        if self.embedding_length == 0.0 {
            return Ok(z);
        }
        let unit = graph.l2_normalize(z, LEAST_LENGTH);
        Ok(graph.scale(unit, self.embedding_length))
    }
}
