//! DeepCluster v2 (Caron et al., 2020): predict the cluster that the last epoch gave the image.
//!
//! ```text
//! before an epoch, each head h: spherical k-means of the last epoch's l2(z), from random images
//!                               -> labels of all images, and centroids c_h
//! L = mean over heads and views of CE(label_h(image), softmax(<l2(z), c_h> / T))
//! ```
//!
//! The centroids are the prototypes, and are not trained.

use autograd::Result;
use methods::DeepClusterV2;
use methods::unit::unit;
use serde::{Deserialize, Serialize};
use tensor::random::{Purpose, Stream};

use super::clustered::{Clustered, Labeller};
use super::definition::{Built, Method, Range};
use crate::kmeans::spherical_kmeans_from;
use crate::nn::{Init, MlpConfig};
use crate::step_builder::StepBuilder;

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeepClusterV2Config {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: DeepClusterV2,
    /// Clusterings, of `model.prototypes` clusters each.
    pub heads: usize,
    /// Iterations of k-means.
    pub iterations: usize,
}

impl Default for DeepClusterV2Config {
    fn default() -> DeepClusterV2Config {
        DeepClusterV2Config { loss: DeepClusterV2::default(), heads: 3, iterations: 10 }
    }
}

impl Method for DeepClusterV2Config {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("temperature", Range::Positive),
            ("heads", Range::AtLeast(1)),
            ("iterations", Range::AtLeast(1)),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let head = step.sizes.head;
        let (clusters, dim) = (head.prototypes, head.bottleneck);
        let student = step.student(&MlpConfig::relu(&[head.hidden, dim]), None);
        let centroids =
            |head| step.state(&format!("centroids.{head}"), &[clusters, dim], Init::UnitRows(dim));
        let centroids = (0..self.heads).map(centroids).collect();
        let iterations = self.iterations;
        let labeller: Labeller = Box::new(move |at, head, memory, _| {
            let mut images: Vec<u32> = (0..(memory.len() / dim) as u32).collect();
            let mut stream = Stream::new(at.seed, Purpose::Sample, at.epoch() as u64, head as u64);
            stream.shuffle(&mut images);
            let found = spherical_kmeans_from(memory, dim, &images[..clusters], iterations);
            Ok((found.labels, Some(found.centroids)))
        });
        // The images' order, and labels.
        let bytes = 2 * size_of::<u32>() * step.sizes.epoch_images;
        let mut clustered = Clustered::new(step, centroids, (labeller, bytes))?;

        let views = step.all_views();
        let z = student.embed(&mut step.graph, &views)?;
        let z = unit(&mut step.graph, z);
        clustered.remember(step, z);
        let heads = clustered.heads();
        let loss = step.graph.scope("loss", |g| self.loss.loss(g, z, &heads))?;
        Ok(Built { hooks: Box::new(clustered), ..Built::of(loss) })
    }
}
