//! DeepCluster v2 (Caron et al., 2020): predict the cluster that the last epoch gave the image.
//!
//! ```text
//! start of an epoch, each head h: spherical k-means over the embeddings of the last epoch
//!                                 -> labels of all images, centroids c of the head
//! s_h = <l2(z), c>
//! L   = 1/H sum_h mean over all views of CE(label_h(image), s_h / T)
//! ```
//!
//! The centroids are the prototypes and are not trained. Clusters of k-means have members, so not
//! all images share one. An image that the last epoch did not see has no label and does not count.

use autograd::{Graph, Result, Value, cross_entropy_index};
use serde::{Deserialize, Serialize};

use crate::unit::unit;

/// What one head predicts; all of it constant during an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The centroids `[K,D]`, of length 1.
    pub centroids: Value,
    /// The labels of all rows, from [`targets`]: `[V*B]` of u32.
    pub index: Value,
    /// The rows' shares of the mean, from [`targets`]: `[V*B]`.
    pub shares: Value,
}

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeepClusterV2 {
    /// T.
    pub temperature: f32,
}

impl Default for DeepClusterV2 {
    fn default() -> DeepClusterV2 {
        DeepClusterV2 { temperature: 0.1 }
    }
}

impl DeepClusterV2 {
    /// The loss of the embeddings z `[V*B,D]`, view by view, under all heads.
    ///
    /// # Errors
    /// No heads, or shapes that do not fit.
    pub fn loss(&self, g: &mut Graph, z: Value, heads: &[Head]) -> Result<Value> {
        let z = unit(g, z);
        let mut losses = Vec::new();
        for head in heads {
            let scores = g.matmul(z, false, head.centroids, true)?;
            let logits = g.scale(scores, 1.0 / self.temperature);
            let each = g.cross_entropy(logits, head.index)?;
            let shared = g.mul(each, head.shares)?;
            losses.push(g.sum(shared));
        }
        let losses = g.concat_rows(&losses)?;
        Ok(g.mean(losses))
    }
}

/// Index and shares of a [`Head`] for a batch's labels, none where an image has no label.
///
/// # Panics
/// If a label is not below `clusters`.
pub fn targets(labels: &[Option<u32>], views: usize, clusters: usize) -> (Vec<u32>, Vec<f32>) {
    let counted = views * labels.iter().flatten().count();
    let rows = || labels.iter().cycle().take(views * labels.len());
    let index = cross_entropy_index(clusters, rows().map(|label| label.unwrap_or(0)));
    let share = |label: &Option<u32>| if label.is_some() { 1.0 / counted as f32 } else { 0.0 };
    (index, rows().map(share).collect())
}
