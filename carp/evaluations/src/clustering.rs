//! The clustering protocol: k-means on training features, scored on test features by their nearest
//! centroids (docs/method.md, section 2).

use std::collections::BTreeMap;

use carp::error::{Error, Result};
use carp::kmeans::{KmeansOptions, Start, kmeans, nearest_centroids};
use datasets::{Dataset, Progress};
use isa::{Isa, multiversion};
use rayon::prelude::*;
use serde::Serialize;
use tensor::cpu::reduce::dot;
use tensor::random::{Purpose, Stream};

use super::clustering_scores::{ClusteringScores, scores_and_match};
use crate::confusion::{Confusion, as_classes};
use crate::features::{ClassIds, FeatureSet};
use crate::picture_sheet::{Frame, Picture, Row, evenly_spaced};

/// Rows that one task adds up.
const ROWS: usize = 1024;

/// How to cluster features. The default is the authors' script: faiss's spherical k-means with
/// faiss's own defaults, on standardised features.
#[derive(Clone, Debug, Serialize)]
pub struct ClusteringOptions {
    /// k-means; 0 clusters means one per class.
    #[serde(flatten)]
    pub kmeans: KmeansOptions,
    /// Standardise features by the training mean and standard deviation.
    pub standardize: bool,
    /// Maximum training features per cluster, drawn at random; 0 means all.
    pub max_points_per_centroid: usize,
}

impl Default for ClusteringOptions {
    fn default() -> ClusteringOptions {
        ClusteringOptions {
            kmeans: KmeansOptions {
                clusters: 0,
                spherical: true,
                start: Start::Random,
                starts: 10,
                iterations: 100,
                seed: 0,
            },
            standardize: true,
            max_points_per_centroid: 256,
        }
    }
}

/// The result of [`evaluate`], with its settings.
#[derive(Clone, Debug, Serialize)]
pub struct ClusteringResult {
    /// The settings, with the actual number of clusters.
    #[serde(flatten)]
    pub options: ClusteringOptions,
    /// Features clustered.
    pub points: usize,
    /// Features scored.
    pub scored: usize,
    /// The split scored: `test` or, without test features, `train`.
    pub scored_split: &'static str,
    /// D.
    pub dim: usize,
    /// Objective of the best start on the clustered points; lower is better.
    pub objective: f64,
    /// Iterations of the best start.
    pub best_start_iterations: usize,
    /// The scores.
    pub scores: ClusteringScores,
    /// True classes against those matched with the images' clusters, one to one, for most images to
    /// be right; images in a cluster without a class have none. `per_class` in JSON.
    #[serde(rename = "per_class", serialize_with = "as_classes")]
    pub confusion: Confusion,
    /// One per cluster, in order.
    pub per_cluster: Vec<Cluster>,
    /// The cluster of each feature scored.
    #[serde(skip)]
    pub assigned: Vec<Assigned>,
}

/// What a cluster holds of the images scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Images.
    pub images: usize,
    /// The label of the matched class, if there is one with an image here.
    pub class: Option<u32>,
    /// Images of this class.
    pub right: usize,
}

impl Cluster {
    /// The fraction of the images that are of the matched class.
    fn purity(&self) -> f64 {
        self.right as f64 / self.images.max(1) as f64
    }
}

/// A feature in its cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assigned {
    /// The cluster.
    pub cluster: u32,
    /// Distance to its centroid: 1 - cosine for spherical k-means, else Euclidean.
    pub distance: f32,
}

/// Clusters `train` and scores `test`, or else `train` itself. Takes ownership to standardise in
/// place; reports the iterations done, as [`kmeans`] does.
///
/// # Errors
/// Scored images without one class each, features of different lengths, more clusters than points.
pub fn evaluate(
    mut train: FeatureSet,
    mut test: Option<FeatureSet>,
    mut options: ClusteringOptions,
    progress: Progress,
) -> Result<ClusteringResult> {
    if let Some(test) = &test {
        train.same_classes(test)?;
    }
    let classes = match &test {
        Some(test) => test.classes("test features".as_ref())?,
        None => train.classes("training features".as_ref())?,
    }
    .to_vec();
    let dim = train.dim;
    if options.kmeans.clusters == 0 {
        let train = train.classes("training features".as_ref()).unwrap_or(&[]);
        options.kmeans.clusters = ClassIds::of(&[&classes, train]).count();
    }
    if options.standardize {
        let (mean, scale) = moments(&train.features, dim);
        for set in [Some(&mut train), test.as_mut()].into_iter().flatten() {
            standardize(&mut set.features, &mean, &scale);
        }
    }
    let most = options.max_points_per_centroid.saturating_mul(options.kmeans.clusters);
    let sample = (most > 0 && most < train.rows()).then(|| sample(&train, most, &options.kmeans));
    let points = sample.as_deref().unwrap_or(&train.features);
    let found = kmeans(points, dim, &options.kmeans, progress)?;
    let scored = test.as_ref().unwrap_or(&train);
    let spherical = options.kmeans.spherical;
    let clusters = nearest_centroids(&scored.features, dim, &found.centroids, spherical);
    let (scores, matched) = scores_and_match(&classes, &clusters);
    let pairs = classes.iter().zip(&clusters);
    let predicted = pairs.map(|(&class, cluster)| (class, matched.get(cluster).copied()));
    Ok(ClusteringResult {
        points: points.len() / dim,
        scored: classes.len(),
        scored_split: if test.is_some() { "test" } else { "train" },
        dim,
        objective: found.objective,
        best_start_iterations: found.iterations,
        scores,
        confusion: Confusion::of(&[], predicted).named(&scored.class_names),
        per_cluster: per_cluster(options.kmeans.clusters, (&classes, &clusters), &matched),
        assigned: assigned(&scored.features, dim, &clusters, &found.centroids, spherical),
        options,
    })
}

fn per_cluster(
    count: usize,
    (classes, clusters): (&[u32], &[u32]),
    matched: &BTreeMap<u32, u32>,
) -> Vec<Cluster> {
    let class = |cluster: u32| matched.get(&cluster).copied();
    let empty = |cluster: u32| Cluster { images: 0, class: class(cluster), right: 0 };
    let mut all: Vec<Cluster> = (0..count as u32).map(empty).collect();
    for (&own, &cluster) in classes.iter().zip(clusters) {
        let cluster = &mut all[cluster as usize];
        cluster.images += 1;
        cluster.right += usize::from(cluster.class == Some(own));
    }
    all
}

#[multiversion(Isa::preferred())]
fn assigned(
    features: &[f32],
    dim: usize,
    clusters: &[u32],
    centroids: &[f32],
    spherical: bool,
) -> Vec<Assigned> {
    let distance = |(x, &cluster): (&[f32], &u32)| {
        let m = &centroids[cluster as usize * dim..][..dim];
        let distance = if spherical {
            // Centroids have length 1.
            1.0 - dot(x, m) / dot(x, x).sqrt().max(f32::MIN_POSITIVE)
        } else {
            x.iter().zip(m).map(|(x, m)| (x - m) * (x - m)).sum::<f32>().sqrt()
        };
        Assigned { cluster, distance }
    };
    features.par_chunks_exact(dim).zip(clusters).map(distance).collect()
}

/// Rows for a [sheet](crate::picture_sheet::draw), one per cluster: the `most` images nearest to its
/// centroid, nearest first, in a green frame if they are of the cluster's class, in a red one if
/// not, in a grey one if the cluster has no class. Of the clusters with images, `rows` are shown,
/// evenly spaced from the least pure to the purest, the larger one first if two are equally pure.
/// The rows of `scored` are those of the features scored.
///
/// # Errors
/// A data set of another size than the features; an image that cannot be read.
pub fn sheet(
    result: &ClusteringResult,
    scored: &dyn Dataset,
    rows: usize,
    most: usize,
) -> Result<Vec<Row>> {
    if scored.len() != result.scored {
        let (images, scored) = (scored.len(), result.scored);
        let line = format!("a sheet of clusters: {images} images for {scored} features");
        return Err(Error::usage(line));
    }
    let clusters = &result.per_cluster;
    let mut members = vec![Vec::new(); clusters.len()];
    for (row, assigned) in result.assigned.iter().enumerate() {
        members[assigned.cluster as usize].push((assigned.distance, row));
    }
    let mut order: Vec<usize> =
        (0..clusters.len()).filter(|&cluster| clusters[cluster].images > 0).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (clusters[a], clusters[b]);
        a.purity().total_cmp(&b.purity()).then(b.images.cmp(&a.images))
    });
    let row = |place: usize| {
        let cluster = order[place];
        let mut nearest = members[cluster].clone();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0));
        let picture = |&(_, row): &(f32, usize)| {
            let frame = match clusters[cluster].class {
                Some(class) => Frame::right(scored.label(row) == Some(class)),
                None => Frame::Neutral,
            };
            Ok(Picture::new(&*scored.image(row)?, frame))
        };
        let pictures = nearest.iter().take(most).map(picture).collect::<Result<_>>()?;
        Ok(Row { groups: vec![pictures] })
    };
    evenly_spaced(order.len(), rows).into_iter().map(row).collect()
}

/// `count` rows, drawn without replacement.
fn sample(train: &FeatureSet, most: usize, options: &KmeansOptions) -> Vec<f32> {
    let mut rows: Vec<u32> = (0..train.rows() as u32).collect();
    Stream::new(options.seed, Purpose::Evaluation, 0, 1).shuffle(&mut rows);
    let row = |&row: &u32| &train.features[row as usize * train.dim..][..train.dim];
    rows[..most].iter().flat_map(row).copied().collect()
}

/// Mean and 1 / standard deviation (over N) of each column; 1 where a column is constant up to
/// rounding, as in scikit-learn.
fn moments(features: &[f32], dim: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (features.len() / dim) as f64;
    let mean = column_means(features, &vec![0.0; dim], |x, _| x);
    let variance = column_means(features, &mean, |x, mean| (x - mean) * (x - mean));
    let scale = |(&mean, &variance): (&f64, &f64)| {
        let rounding = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
        if variance <= rounding { 1.0 } else { 1.0 / variance.sqrt() }
    };
    let scale = mean.iter().zip(&variance).map(scale).collect();
    (mean, scale)
}

/// The mean over rows of `f(x, centre)`, column by column, in double precision.
fn column_means(features: &[f32], centre: &[f64], f: fn(f64, f64) -> f64) -> Vec<f64> {
    let dim = centre.len();
    let part = |rows: &[f32]| {
        let mut sums = vec![0.0f64; dim];
        for row in rows.chunks_exact(dim) {
            for ((sum, &x), &centre) in sums.iter_mut().zip(row).zip(centre) {
                *sum += f(x.into(), centre);
            }
        }
        sums
    };
    let parts: Vec<Vec<f64>> = features.par_chunks(ROWS * dim).map(part).collect();
    let mut means = vec![0.0; dim];
    for part in parts {
        means.iter_mut().zip(part).for_each(|(mean, part)| *mean += part);
    }
    let n = (features.len() / dim) as f64;
    means.iter_mut().for_each(|mean| *mean /= n);
    means
}

fn standardize(features: &mut [f32], mean: &[f64], scale: &[f64]) {
    features.par_chunks_mut(mean.len()).for_each(|row| {
        for ((x, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
            *x = ((f64::from(*x) - mean) * scale) as f32;
        }
    });
}
