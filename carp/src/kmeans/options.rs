//! Settings of k-means.

use serde::Serialize;

/// Initial centroids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Points drawn uniformly without replacement, as in faiss.
    Random,
    /// k-means++ (Arthur and Vassilvitskii, 2007), each the best of 2 + ln K draws.
    PlusPlus,
}

/// Settings of k-means.
#[derive(Clone, Debug, Serialize)]
pub struct KmeansOptions {
    /// K.
    pub clusters: usize,
    /// Centroids of length 1, compared by inner product.
    pub spherical: bool,
    /// Initial centroids.
    pub start: Start,
    /// Number of starts; the best is kept.
    pub starts: usize,
    /// Maximum iterations per start; a converged one ends earlier.
    pub iterations: usize,
    /// Random seed.
    pub seed: u64,
}
