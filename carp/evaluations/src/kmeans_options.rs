//! How k-means clusters.

use serde::Serialize;

/// Where the first centroids come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Points drawn uniformly without replacement, as in faiss.
    Random,
    /// k-means++ (Arthur and Vassilvitskii, 2007), each time the best of 2 + ln K draws.
    PlusPlus,
}

/// How to cluster.
#[derive(Clone, Debug, Serialize)]
pub struct KmeansOptions {
    /// K.
    pub clusters: usize,
    /// Centroids of length 1, compared by inner product.
    pub spherical: bool,
    /// The first centroids.
    pub start: Start,
    /// Starts, of which the best stays.
    pub starts: usize,
    /// Iterations of each start at most; one that has come to rest ends earlier.
    pub iterations: usize,
    /// Of the draws.
    pub seed: u64,
}
