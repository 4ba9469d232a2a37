//! Settings and results of weighted k-NN.

use std::path::Path;

use carp::error::{Error, Result};
use files::write_atomically;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use crate::confusion::{Confusion, as_classes};

/// Settings of the vote.
#[derive(Clone, Debug, Serialize)]
pub struct KnnOptions {
    /// Numbers of neighbours, all found in one pass. One that comes again counts once.
    pub ks: Vec<usize>,
    /// T.
    pub temperature: f32,
}

impl Default for KnnOptions {
    fn default() -> KnnOptions {
        KnnOptions { ks: vec![10, 20, 100, 200], temperature: 0.07 }
    }
}

/// The result of [`evaluate`](crate::knn::evaluate), with its settings.
#[derive(Clone, Debug, Serialize)]
pub struct KnnResult {
    /// The settings.
    #[serde(flatten)]
    pub options: KnnOptions,
    /// Training features.
    pub bank: usize,
    /// Test features.
    pub queries: usize,
    /// D.
    pub dim: usize,
    /// Classes that occur.
    pub classes: usize,
    /// One per entry of `ks`.
    pub accuracies: Vec<KnnAccuracy>,
    /// The k with the highest top-1 accuracy, the first in `ks` on a tie.
    pub confusion_k: usize,
    /// True classes against its predictions; `per_class` in JSON.
    #[serde(rename = "per_class", serialize_with = "as_classes")]
    pub confusion: Confusion,
    /// The ranking of each query, per entry of `ks`.
    #[serde(skip)]
    pub rankings: Vec<Vec<Ranking>>,
}

impl KnnResult {
    /// Writes a safetensors file with `predictions.K` `[N]` of i64 for each of the `ks`: the class of
    /// each query.
    ///
    /// # Errors
    /// I/O errors.
    pub fn save_predictions(&self, path: &Path) -> Result<()> {
        let bytes = |rankings: &Vec<Ranking>| -> Vec<u8> {
            rankings.iter().flat_map(|ranking| i64::from(ranking[0]).to_le_bytes()).collect()
        };
        let tensors: Vec<Vec<u8>> = self.rankings.iter().map(bytes).collect();
        let views = self.options.ks.iter().zip(&tensors).map(|(k, bytes)| {
            let view = TensorView::new(Dtype::I64, vec![self.queries], bytes);
            (format!("predictions.{k}"), view.expect("as many bytes as the shape says"))
        });
        let file = safetensors::serialize(views, None)
            .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
        Ok(write_atomically(path, &file)?)
    }
}

/// Accuracy with k neighbours, as fractions of the queries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KnnAccuracy {
    /// Number of neighbours asked for.
    pub k: usize,
    /// Number of neighbours that voted: k, or the whole bank if it is smaller.
    pub voters: usize,
    /// The class with the most votes was right.
    pub top1: f64,
    /// One of the five classes with the most votes was right.
    pub top5: f64,
}

impl KnnAccuracy {
    /// k for tables, such as `200`, or `200 (all 60)` if the bank has fewer.
    pub fn name(&self) -> String {
        let KnnAccuracy { k, voters, .. } = self;
        if voters < k { format!("{k} (all {voters})") } else { k.to_string() }
    }
}

/// A query's classes with the most votes, the predicted one first; at most five, and only classes
/// that a neighbour voted for.
pub type Ranking = Vec<u32>;
