//! A map of features: each is a point of the plane.

use datasets::Labels;
use evaluations::features::FeatureSet;
use evaluations::whitening::{Moments, Whitening};
use serde::Serialize;

/// Pictures on a map, at most.
pub const POINTS: usize = 1000;

/// Features along their two principal components.
#[derive(Debug, Serialize)]
pub struct FeatureMap {
    /// Along the first, a number per feature.
    pub x: Vec<f32>,
    /// Along the second.
    pub y: Vec<f32>,
    /// Of the features' variance, the shares along x and y.
    pub shares: [f64; 2],
    /// A class per feature, or none at all.
    pub labels: Vec<u32>,
    /// May be fewer than there are classes.
    pub class_names: Vec<String>,
}

impl FeatureMap {
    /// These rows of the features on the plane of their greatest variance, each scaled to length 1,
    /// since k-NN compares by cosine.
    pub fn of(features: &FeatureSet, rows: &[usize]) -> FeatureMap {
        let dim = features.dim;
        let mut points = FeatureSet {
            features: rows
                .iter()
                .flat_map(|&row| unit(&features.features[row * dim..][..dim]))
                .collect(),
            dim,
            labels: Labels::None,
            class_names: Vec::new(),
        };
        // A power of 0 only turns the axes.
        Whitening::learn(&points, Moments::Central, 0.0).apply(&mut points);
        let along = |axis: usize| points.features.iter().skip(axis).step_by(dim).copied();
        let variance = |axis: usize| along(axis).map(|x| f64::from(x).powi(2)).sum::<f64>();
        let all: f64 = (0..dim).map(variance).sum();
        let share = |axis: usize| if all > 0.0 && axis < dim { variance(axis) / all } else { 0.0 };
        let labels = match &features.labels {
            Labels::Single(labels) => rows.iter().map(|&row| labels[row]).collect(),
            _ => Vec::new(),
        };
        FeatureMap {
            x: along(0).collect(),
            y: if dim > 1 { along(1).collect() } else { vec![0.0; rows.len()] },
            shares: [share(0), share(1)],
            labels,
            class_names: features.class_names.clone(),
        }
    }

    /// The name of a class.
    pub fn class_name(&self, class: u32) -> String {
        let name = self.class_names.get(class as usize);
        name.cloned().unwrap_or_else(|| format!("class {class}"))
    }
}

/// A feature scaled to length 1.
pub fn unit(feature: &[f32]) -> impl Iterator<Item = f32> {
    let length = feature.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    feature.iter().map(move |x| x / length)
}
