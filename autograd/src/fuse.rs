//! Fusion as a rewrite of the list of kernels.
//!
//! Layers append plain kernels; each pass here looks for its pattern, consecutive nodes whose inner
//! results are not used elsewhere, and replaces them by one kernel. The new kernel writes the same
//! value as the last of the old ones, so handles stay valid. ([`Pass::BatchNormSums`] and
//! [`Pass::BatchNormGradientSums`] leave two, whose results are those of before.) A pass ignores what it does not
//! recognise, so passes can be run in any number and combination; `docs/fusion.md` has a section on
//! each. Run them on the forward list before [`Graph::backward`]: fused kernels have their own
//! gradients. After it [`Pass::BatchNormGradientSums`] rewrites gradients, and [`Pass::FlatUpdate`] updates.

mod fold;
mod gradients;
mod layers;
mod loss;
mod pattern;
mod update;

use std::fmt;
use std::str::FromStr;

pub use self::fold::FoldedNorm;
use crate::graph::{Graph, Node};

/// A rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// `batch_norm, add` becomes a batch norm that adds the residual.
    BatchNormAdd,
    /// `batch_norm, relu` becomes a batch norm that ends with ReLU.
    BatchNormRelu,
    /// In training the convolution before a batch norm takes its sums.
    BatchNormSums,
    /// `add_bias, gelu` becomes one sweep.
    BiasGelu,
    /// `gemm, add_bias` becomes a product that adds the bias while a tile is in cache.
    LinearBias,
    /// The loss over logits, op by op, becomes one kernel that also computes its gradient.
    PartitionLoss,
    /// Weight norms, logits and [`Pass::PartitionLoss`]'s kernel become one that works block by
    /// block.
    StreamingLoss,
    /// The streaming loss goes view by view inside a block.
    TiledLoss,
    /// The gradient by a convolution's input takes the sums of the batch norm's gradient behind it.
    BatchNormGradientSums,
    /// Updates of single tensors become one update of all tensors, which are then laid out
    /// contiguously.
    FlatUpdate,
}

impl Pass {
    /// All passes, in execution order: those of the loss build on each other.
    pub const ALL: [Pass; 10] = [
        Pass::BatchNormAdd,
        Pass::BatchNormRelu,
        Pass::BatchNormSums,
        Pass::BiasGelu,
        Pass::LinearBias,
        Pass::PartitionLoss,
        Pass::StreamingLoss,
        Pass::TiledLoss,
        Pass::BatchNormGradientSums,
        Pass::FlatUpdate,
    ];

    /// Name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            Pass::BatchNormAdd => "batch-norm-add",
            Pass::BatchNormRelu => "batch-norm-relu",
            Pass::BatchNormSums => "batch-norm-sums",
            Pass::BiasGelu => "bias-gelu",
            Pass::LinearBias => "linear-bias",
            Pass::PartitionLoss => "partition-loss",
            Pass::StreamingLoss => "streaming-loss",
            Pass::TiledLoss => "tiled-loss",
            Pass::BatchNormGradientSums => "batch-norm-gradient-sums",
            Pass::FlatUpdate => "flat-update",
        }
    }

    /// The pass whose result is this one's pattern.
    fn builds_on(self) -> Option<Pass> {
        match self {
            Pass::StreamingLoss => Some(Pass::PartitionLoss),
            Pass::TiledLoss => Some(Pass::StreamingLoss),
            // Else ReLU's gradient lies in between.
            Pass::BatchNormGradientSums => Some(Pass::BatchNormRelu),
            _ => None,
        }
    }

    /// How many nodes from `at` on match, and their replacement.
    fn rewrite(self, g: &mut Graph, at: usize) -> Option<(usize, Vec<Node>)> {
        let (len, node) = match self {
            Pass::BatchNormSums => return layers::batch_norm_sums(g, at),
            Pass::BatchNormGradientSums => return gradients::batch_norm_gradient_sums(g, at),
            Pass::BatchNormAdd => layers::batch_norm_add(g, at),
            Pass::BatchNormRelu => layers::batch_norm_relu(g, at),
            Pass::BiasGelu => layers::bias_gelu(g, at),
            Pass::LinearBias => layers::linear_bias(g, at),
            Pass::PartitionLoss => loss::partition_loss(g, at),
            Pass::StreamingLoss => loss::streaming_loss(g, at),
            Pass::TiledLoss => loss::tiled_loss(g, at),
            Pass::FlatUpdate => update::flat_update(g, at),
        }?;
        Some((len, vec![node]))
    }
}

/// The enabled passes: `none`, `all`, or a comma-separated list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passes(Vec<Pass>);

impl Passes {
    /// These passes and those they build on.
    pub fn new(passes: impl IntoIterator<Item = Pass>) -> Passes {
        let mut on: Vec<Pass> = Vec::new();
        for pass in passes {
            on.extend(std::iter::successors(Some(pass), |pass| pass.builds_on()));
        }
        on.sort_unstable();
        on.dedup();
        Passes(on)
    }

    /// All.
    pub fn all() -> Passes {
        Passes::new(Pass::ALL)
    }

    /// None.
    pub fn none() -> Passes {
        Passes(Vec::new())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Pass> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Passes {
    type Err = String;

    fn from_str(names: &str) -> Result<Passes, String> {
        match names {
            "all" => return Ok(Passes::all()),
            "none" => return Ok(Passes::none()),
            _ => {}
        }
        let pass = |name: &str| {
            Pass::ALL.into_iter().find(|pass| pass.name() == name).ok_or_else(|| {
                let known = Pass::ALL.map(Pass::name).join(", ");
                format!("unknown fusion pass {name:?}; use none, all, or some of {known}")
            })
        };
        Ok(Passes::new(
            names.split(',').map(|name| pass(name.trim())).collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|pass| pass.name()).collect();
        match names.len() {
            0 => f.write_str("none"),
            n if n == Pass::ALL.len() => f.write_str("all"),
            _ => f.write_str(&names.join(",")),
        }
    }
}

impl Graph {
    /// Runs these passes over the list. Values that are to be read must be kept before: a pass may
    /// merge others away. Call it on the forward list, and again behind gradients and updates.
    pub fn fuse(&mut self, passes: &Passes) {
        for pass in &passes.0 {
            let mut at = 0;
            while at < self.nodes.len() {
                if let Some((len, nodes)) = pass.rewrite(self, at) {
                    self.nodes.splice(at..at + len, nodes);
                }
                at += 1;
            }
        }
    }
}
