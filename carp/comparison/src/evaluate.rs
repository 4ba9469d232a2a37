//! The evaluations of a run: k-NN, a linear classifier and k-means on the features of the network that its
//! method's authors evaluate.

use std::path::Path;

use carp::config::Config;
use carp::diversity::effective_rank;
use carp::error::{Error, Result};
use carp::learner::Device;
use datasets::{Progress, spread};
use evaluations::clustering::{self, ClusteringOptions};
use evaluations::knn::{self, KnnOptions};
use evaluations::linear::{LinearSettings, linear_of_features};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::trained::{LabelledSplits, TrainedBackbone};
use files::write_atomically;
use serde::{Deserialize, Serialize};

/// Which images a run is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestedOn {
    /// Those held out of training: what to choose settings by.
    HeldOut,
    /// The test set: what to report once, of what was chosen.
    Test,
}

impl TestedOn {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            TestedOn::HeldOut => "held-out",
            TestedOn::Test => "test",
        }
    }
}

/// Most images whose features' rank is taken.
pub const ROWS: usize = 2048;

/// What the evaluations of a run found; accuracies and scores are fractions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of the weights that were evaluated.
    pub weights_sha256: String,
    /// Which of the networks; earlier versions took the teacher and did not say so.
    #[serde(default = "earlier_network")]
    pub network: String,
    /// k-NN accuracy, with the run's k and temperature.
    pub knn: f64,
    /// Top-1 accuracy of the linear classifier with the best rate, in its best epoch.
    pub linear: f64,
    /// Accuracy of k-means' clusters, matched with the classes one to one.
    pub kmeans_accuracy: f64,
    /// Their normalised mutual information with the classes.
    pub kmeans_nmi: f64,
    /// Effective rank of the features of the images that the run is tested on, at most [`ROWS`] of
    /// them.
    pub effective_rank: f64,
}

fn earlier_network() -> String {
    NetworkName::Teacher.name().to_owned()
}

/// The effective rank of at most [`ROWS`] of the rows, from everywhere: test sets may be sorted by
/// class.
fn rank_of_some(features: &[f32], dim: usize) -> f64 {
    let rows = spread(features.len() / dim, ROWS);
    let row = |&row: &usize| &features[row * dim..][..dim];
    let some: Vec<f32> = rows.iter().flat_map(row).copied().collect();
    effective_rank(&some, rows.len())
}

/// Evaluates a finished run in `folder`, or reads what an earlier evaluation has found.
///
/// # Errors
/// Data without labels; files that cannot be read or written.
pub fn evaluate(
    folder: &Path,
    weights_sha256: &str,
    (config, tested_on): (&Config, TestedOn),
    device: Device,
) -> Result<Scores> {
    let network = NetworkName::evaluated(&config.method);
    let file = folder.join(format!("{}.json", tested_on.name()));
    if let Ok(text) = std::fs::read_to_string(&file)
        && let Ok(scores) = serde_json::from_str::<Scores>(&text)
        && (&*scores.weights_sha256, &*scores.network) == (weights_sha256, network.name())
    {
        return Ok(scores);
    }
    let mut data = config.data.clone();
    if tested_on == TestedOn::Test {
        data.held_out = 0;
    }
    let splits = LabelledSplits::new(&data.open(config.seed)?, Progress::none())?;
    let mut source = NetworkFile::open(folder, None)?;
    let (transform, batch) = (source.transform()?, config.knn.batch_size);
    let backbone = TrainedBackbone::new(&mut source, network, transform, batch, device)?;
    let mut encoder = backbone.encoder(backbone.transform.clone())?;
    let train = encoder.feature_set(&*splits.train, |_| ())?;
    let test = encoder.feature_set(&*splits.test, |_| ())?;

    let options = KnnOptions { ks: vec![config.knn.k], temperature: config.knn.temperature };
    let knn = knn::evaluate(&train, &test, options, Progress::none())?.accuracies[0].top1;
    let linear = linear_of_features(
        &LinearSettings::small(),
        (&train, "training features".as_ref()),
        (&test, "test features".as_ref()),
        device,
        &mut |_| (),
    )?;
    let effective_rank = rank_of_some(&test.features, test.dim);
    let options = ClusteringOptions::default();
    let clusters = clustering::evaluate(train, Some(test), options, Progress::none())?.scores;
    let scores = Scores {
        weights_sha256: weights_sha256.to_owned(),
        network: network.name().to_owned(),
        knn,
        linear: linear.best().best.test.top1,
        kmeans_accuracy: clusters.accuracy,
        kmeans_nmi: clusters.nmi,
        effective_rank,
    };
    let json = serde_json::to_string_pretty(&scores).expect("plain numbers") + "\n";
    write_atomically(&file, json.as_bytes()).map_err(Error::from)?;
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_of_all_classes() {
        // Four classes, one after the other, each along a direction of its own.
        let row = |row: usize| (0..4).map(move |at| if at == row / ROWS { 1.0 } else { 0.0 });
        let features: Vec<f32> = (0..4 * ROWS).flat_map(row).collect();
        assert!((rank_of_some(&features, 4) - 4.0).abs() < 0.01);
        assert!((rank_of_some(&features[..4 * ROWS], 4) - 1.0).abs() < 1e-9);
    }
}
