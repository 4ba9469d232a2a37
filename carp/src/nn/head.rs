//! What stands on the backbone: layers to an embedding, and prototypes (docs/method.md, 1.2).
//!
//! CARP's are Linear, BN, GELU, Linear, BN, GELU, Linear to the embedding z `[N,D]`, which is *not*
//! normalised (but see [`HeadConfig::embedding_length`]). The logits `s_c = <z, v_c / |v_c|>` of K
//! weight-normalised prototypes, without bias or temperature, belong to the loss: the length of z
//! sets the sharpness. Other methods have other layers (`carp/src/method`), and prototypes or none.

use autograd::{Graph, Result, Value};
use methods::unit::unit;
use tensor::kernel::Unary;

use super::mlp::{LinearInit, Mlp, MlpConfig};
use super::params::{Init, Params};

/// Standard deviation of the initial weights of CARP's linear layers.
const INIT_STD: f32 = 0.02;

/// Sizes of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadConfig {
    /// Width of hidden layers.
    pub hidden: usize,
    /// Length D of the embedding.
    pub bottleneck: usize,
    /// Number K of prototypes.
    pub prototypes: usize,
    /// Length that CARP's embeddings are scaled to; 0 leaves theirs.
    pub embedding_length: f32,
}

impl HeadConfig {
    /// CARP's layers, which are DINO's, too.
    pub fn layers(&self) -> MlpConfig {
        let HeadConfig { hidden, bottleneck, .. } = *self;
        MlpConfig {
            activation: Unary::Gelu,
            init: LinearInit::Normal(INIT_STD),
            ..MlpConfig::relu(&[hidden, hidden, bottleneck])
        }
    }

    /// CARP's embeddings `[N,D]` at the length that is set.
    pub fn scaled(&self, graph: &mut Graph, z: Value) -> Value {
        if self.embedding_length == 0.0 {
            return z;
        }
        let z = unit(graph, z);
        graph.scale(z, self.embedding_length)
    }
}

/// The layers and the prototypes.
pub struct Head {
    mlp: Mlp,
    /// The prototypes `[K,D]`; CARP's and DINO's before weight norm.
    pub prototypes: Option<Value>,
}

impl Head {
    /// Adds the tensors of a head over `inputs` numbers: its layers, and this many prototypes.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        inputs: usize,
        (layers, prototypes): (&MlpConfig, Option<usize>),
    ) -> Head {
        let mlp = graph.scope("mlp", |graph| Mlp::new(graph, params, inputs, layers));
        let dim = layers.widths.last().copied().unwrap_or(inputs);
        // The prototypes start like PyTorch's Linear, not like the rest of CARP's head
        // (docs/method.md, 1.2).
        let init = Init::Uniform(1.0 / (dim as f32).sqrt());
        let prototypes = prototypes.map(|count| {
            graph.scope("last_layer", |graph| params.weight(graph, "weight_v", [count, dim], init))
        });
        Head { mlp, prototypes }
    }

    /// Rows `[N,I]` to embeddings `[N,D]`.
    ///
    /// # Errors
    /// Rows of the wrong length, or training with one row.
    pub fn embed(&self, graph: &mut Graph, x: Value, training: bool) -> Result<Value> {
        graph.scope("mlp", |graph| self.mlp.forward(graph, x, training))
    }
}
