//! A map of features: each is a point of the plane.

use datasets::Labels;
use evaluations::features::FeatureSet;
use evaluations::whitening::Whitening;
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
        centre(&mut points.features, dim);
        // A power of 0 only turns the axes.
        Whitening::learn(&points, 0.0).apply(&mut points);
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

/// `most` numbers below `len`, or all if there are fewer, from everywhere: neither classes that follow
/// each other nor classes that take turns are missed.
pub fn spread(len: usize, most: usize) -> Vec<usize> {
    // The fractions of multiples of the golden ratio are spread evenly (Weyl), also those of any
    // stretch of them, and of every tenth.
    let golden = (5_f64.sqrt() - 1.0) / 2.0;
    let fraction = |number: usize| (number as f64 * golden).fract();
    let mut numbers: Vec<usize> = (0..len).collect();
    numbers.sort_by(|&a, &b| fraction(a).total_cmp(&fraction(b)));
    numbers.truncate(most);
    numbers.sort_unstable();
    numbers
}

/// A feature scaled to length 1.
pub fn unit(feature: &[f32]) -> impl Iterator<Item = f32> {
    let length = feature.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    feature.iter().map(move |x| x / length)
}

/// Takes the mean off.
fn centre(features: &mut [f32], dim: usize) {
    let rows = (features.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    for row in features.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / rows);
    }
    for row in features.chunks_exact_mut(dim) {
        row.iter_mut().zip(&mean).for_each(|(x, &mean)| *x -= mean as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_take_turns_or_follow_each_other_are_all_on_the_map() {
        for (len, most) in [(2000, 1000), (5000, 1000), (10_000, 1000), (1001, 1000)] {
            let rows = spread(len, most);
            assert!(rows.len() == most && rows.is_sorted_by(|a, b| a < b) && rows[most - 1] < len);
            for class in 0..10 {
                let takes_turns = rows.iter().filter(|&row| row % 10 == class).count();
                let follows = rows.iter().filter(|&row| row * 10 / len == class).count();
                assert!((90..=110).contains(&takes_turns), "{takes_turns} of {class}, {len}");
                assert!((90..=110).contains(&follows), "{follows} of {class}, {len}");
            }
        }
        assert_eq!((spread(3, 5), spread(0, 5)), (vec![0, 1, 2], vec![]));
    }
}
