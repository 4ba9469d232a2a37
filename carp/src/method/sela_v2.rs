//! SeLa v2 (Asano et al., 2020; Caron et al., 2020): DeepCluster v2 with labels that fill every
//! cluster equally.
//!
//! ```text
//! before an epoch, each head h: Sinkhorn-Knopp of softmax(<l2(z), c_h>)^lambda over the last epoch's
//!                               embeddings -> labels of all images
//! prototypes c_h <- c_h / their length                before every forward pass
//! L = mean over heads and views of CE(label_h(image), softmax(<l2(z), c_h> / T))
//! ```
//!
//! The prototypes are trained. The authors have published version 2's weights, not its settings: what
//! is not in the paper is inferred from DeepCluster v2 and from version 1.

use autograd::Result;
use isa::Isa;
use methods::unit::unit;
use methods::{DeepClusterV2, SelaV2};
use serde::{Deserialize, Serialize};
use tensor::cpu::gemm::{Strides, sgemm};

use super::clustered::{Clustered, Labeller};
use super::definition::{Built, Method, Range};
use super::unit_prototypes::project;
use crate::kmeans::scale_to_length_1;
use crate::nn::MlpConfig;
use crate::step_builder::StepBuilder;

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelaV2Config {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: DeepClusterV2,
    /// Of the labels.
    #[serde(flatten)]
    pub labels: SelaV2,
    /// Sets of `model.prototypes` prototypes.
    pub heads: usize,
}

impl Default for SelaV2Config {
    fn default() -> SelaV2Config {
        SelaV2Config { loss: DeepClusterV2::default(), labels: SelaV2::default(), heads: 3 }
    }
}

impl Method for SelaV2Config {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("temperature", Range::Positive),
            ("lambda", Range::NotNegative),
            ("tolerance", Range::NotNegative),
            ("heads", Range::AtLeast(1)),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let head = step.sizes.head;
        let (clusters, dim) = (head.prototypes, head.bottleneck);
        let student = step.student(&MlpConfig::relu(&[head.hidden, dim]), None);
        let prototypes: Vec<_> = (0..self.heads)
            .map(|head| step.prototypes(&format!("prototypes.{head}"), clusters))
            .collect();
        let labels = self.labels;
        let labeller: Labeller = Box::new(move |_, _, memory, prototypes| {
            let mut prototypes = prototypes.to_vec();
            prototypes.chunks_exact_mut(dim).for_each(scale_to_length_1);
            let isa = Isa::preferred();
            let (by_row, by_column) = (Strides::new(dim, false), Strides::new(dim, true));
            let logits = |first: usize, logits: &mut [f32]| {
                let rows = logits.len() / clusters;
                let z = &memory[first * dim..][..rows * dim];
                let sizes = (rows, dim, clusters);
                sgemm(isa, sizes, (z, by_row), (&prototypes, by_column), false, logits);
            };
            Ok((labels.labels_of((memory.len() / dim, clusters), logits)?.0, None))
        });
        let bytes = SelaV2::bytes(step.sizes.epoch_images, clusters);
        let mut clustered = Clustered::new(step, prototypes.clone(), (labeller, bytes))?;

        let views = step.all_views();
        let g = &mut step.graph;
        for prototypes in prototypes {
            project(g, prototypes)?;
        }
        let z = student.embed(g, &views)?;
        let z = unit(g, z);
        clustered.remember(step, z);
        let heads = clustered.heads();
        let loss = step.graph.scope("loss", |g| self.loss.loss(g, z, &heads))?;
        Ok(Built { hooks: Box::new(clustered), ..Built::of(loss) })
    }
}
