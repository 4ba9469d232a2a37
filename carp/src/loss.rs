//! CARP's loss and its variants (docs/method.md, 1.4 and 1.5).
//!
//! All variants give the same numbers and gradients; they differ in what they keep in memory and
//! how often they pass over it. Each is the list of the one before with more fusion passes.
//! `docs/fusion.md` walks through them.

use autograd::{Graph, LossInputs, LossTerms, Pass, Passes, Result};
use serde::{Deserialize, Serialize};

/// How the loss is computed, from least to most fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossVariant {
    /// Op by op, as one writes it in PyTorch. Keeps logits, probabilities and every product.
    Unfused,
    /// Keeps the logits; softmax, C, H and their gradient are one op per block.
    FusedSoftmax,
    /// From embeddings and prototypes block by block; logits of all prototypes never exist.
    Streaming,
    /// Streaming, and view by view within a block: a view's logits stay in the core's cache from
    /// the matrix product to the softmax, and from the gradient to its matrix products.
    StreamingTiled,
}

impl LossVariant {
    /// All variants, from least to most fused.
    pub const ALL: [LossVariant; 4] = [
        LossVariant::Unfused,
        LossVariant::FusedSoftmax,
        LossVariant::Streaming,
        LossVariant::StreamingTiled,
    ];

    /// Name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            LossVariant::Unfused => "unfused",
            LossVariant::FusedSoftmax => "fused-softmax",
            LossVariant::Streaming => "streaming",
            LossVariant::StreamingTiled => "streaming-tiled",
        }
    }

    /// The variant with this name.
    pub fn from_name(name: &str) -> Option<LossVariant> {
        LossVariant::ALL.into_iter().find(|variant| variant.name() == name)
    }

    /// The passes that produce it.
    pub fn passes(self) -> Passes {
        Passes::new(match self {
            LossVariant::Unfused => None,
            LossVariant::FusedSoftmax => Some(Pass::PartitionLoss),
            LossVariant::Streaming => Some(Pass::StreamingLoss),
            LossVariant::StreamingTiled => Some(Pass::TiledLoss),
        })
    }

    /// The passes of a step: all of them fuse the loss up to this variant and no further; passes
    /// that were chosen by name stay as they are.
    pub fn limit(self, passes: &Passes) -> Passes {
        if *passes != Passes::all() {
            return passes.clone();
        }
        let others = LossVariant::without_loss(passes);
        Passes::new(others.iter().chain(self.passes().iter()))
    }

    /// These passes without those that fuse the loss.
    pub fn without_loss(passes: &Passes) -> Passes {
        let loss = [Pass::PartitionLoss, Pass::StreamingLoss, Pass::TiledLoss];
        Passes::new(passes.iter().filter(|pass| !loss.contains(pass)))
    }
}

/// Appends the loss over blocks of `partition_size` prototypes in one of its variants.
///
/// # Errors
/// Shapes that do not fit, fewer than two views, or a partition size of 0 or above K.
pub fn carp_loss(
    graph: &mut Graph,
    variant: LossVariant,
    inputs: LossInputs,
    partition_size: usize,
) -> Result<LossTerms> {
    let terms = graph.carp_loss(inputs, partition_size)?;
    for term in [terms.loss, terms.consistency, terms.entropy] {
        graph.keep(term);
    }
    graph.fuse(&variant.passes());
    Ok(terms)
}
