//! What a comparison has found: numbers of each run, their mean and deviation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carp::diversity::Diversity;
use carp::error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::curve::Point;
use crate::evaluate::{Scores, TestedOn};
use crate::setting::Setting;

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Its seed.
    pub seed: u64,
    /// Passes over the data, as a fraction.
    pub epochs: f64,
    /// Images through the network.
    pub passes: u64,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// Images of the data set per second of training.
    pub images_per_second: f64,
    /// Bytes of the step's arena, known before it runs.
    pub planned_peak_bytes: usize,
    /// What the evaluations found.
    pub scores: Scores,
    /// The last step's look at prototypes and features.
    pub diversity: Option<Diversity>,
    /// k-NN accuracy on the images held out, from before the first step on.
    pub curve: Vec<Point>,
}

/// Mean and sample standard deviation; that of one number is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, with n - 1.
    pub deviation: f64,
}

impl Statistic {
    /// Of some numbers; none of none.
    pub fn of(numbers: &[f64]) -> Option<Statistic> {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
        (n > 0.0).then_some(Statistic { mean, deviation })
    }
}

/// A number of a run that tables show.
pub struct Column {
    /// Its key in files.
    pub key: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Decimals in tables.
    pub decimals: usize,
    value: fn(&RunReport) -> Option<f64>,
}

const fn column(
    (key, title): (&'static str, &'static str),
    decimals: usize,
    value: fn(&RunReport) -> Option<f64>,
) -> Column {
    Column { key, title, decimals, value }
}

/// All columns.
pub const COLUMNS: [Column; 13] = [
    column(("epochs", "epochs"), 2, |run| Some(run.epochs)),
    column(("passes", "passes, thousands"), 0, |run| Some(run.passes as f64 / 1e3)),
    column(("seconds", "s"), 1, |run| Some(run.seconds)),
    column(("images_per_second", "images/s"), 0, |run| Some(run.images_per_second)),
    column(("planned_peak_mib", "MiB, planned"), 1, |run| {
        Some(run.planned_peak_bytes as f64 / f64::from(1 << 20))
    }),
    column(("knn", "k-NN %"), 2, |run| Some(100.0 * run.scores.knn)),
    column(("linear", "linear %"), 2, |run| Some(100.0 * run.scores.linear)),
    column(("kmeans_accuracy", "k-means accuracy %"), 2, |run| {
        Some(100.0 * run.scores.kmeans_accuracy)
    }),
    column(("kmeans_nmi", "k-means NMI %"), 2, |run| Some(100.0 * run.scores.kmeans_nmi)),
    column(("prototypes_in_use", "prototypes in use %"), 1, |run| {
        run.diversity.map(|look| 100.0 * look.prototypes_in_use)
    }),
    column(("distinct_prototypes", "distinct prototypes"), 0, |run| {
        run.diversity.map(|look| look.distinct_prototypes as f64)
    }),
    column(("compared_prototypes", "of"), 0, |run| {
        run.diversity.map(|look| look.compared_prototypes as f64)
    }),
    column(("effective_rank", "effective rank"), 1, |run| Some(run.scores.effective_rank)),
];

/// A setting's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The setting.
    pub setting: Setting,
    /// Steps of each run.
    pub steps: usize,
    /// Those that have ended, seed by seed.
    pub runs: Vec<RunReport>,
    /// Why others ended without a result: one line each.
    pub failures: Vec<String>,
    /// Of the runs' numbers, by the columns' keys.
    pub statistics: BTreeMap<String, Statistic>,
}

impl Row {
    /// A row without runs.
    pub fn new(setting: Setting, steps: usize) -> Row {
        Row { setting, steps, runs: vec![], failures: vec![], statistics: BTreeMap::new() }
    }

    /// Adds a run that has ended.
    pub fn add(&mut self, run: RunReport) {
        self.runs.push(run);
        let statistic = |column: &Column| {
            let numbers: Vec<f64> = self.runs.iter().filter_map(column.value).collect();
            Some((column.key.to_owned(), Statistic::of(&numbers)?))
        };
        self.statistics = COLUMNS.iter().filter_map(statistic).collect();
    }

    /// The mean of a column, if there is one.
    pub fn mean(&self, key: &str) -> Option<f64> {
        self.statistics.get(key).map(|statistic| statistic.mean)
    }

    /// The runs' curves as one: means of their times and accuracies, as far as all have them.
    pub fn curve(&self) -> Vec<Point> {
        let points = self.runs.iter().map(|run| run.curve.len()).min().unwrap_or(0);
        let mean = |at: usize, value: fn(&Point) -> f64| {
            let values = self.runs.iter().map(|run| value(&run.curve[at]));
            values.sum::<f64>() / self.runs.len() as f64
        };
        let point = |at: usize| Point {
            step: self.runs[0].curve[at].step,
            seconds: mean(at, |point| point.seconds),
            knn: mean(at, |point| point.knn),
        };
        (0..points).map(point).collect()
    }
}

/// All that a comparison has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The data.
    pub data: String,
    /// Which of its images the runs are tested on.
    pub tested_on: TestedOn,
    /// How many images were held out of training.
    pub held_out: usize,
    /// What each setting got.
    pub budget: Budget,
    /// A row for each setting.
    pub rows: Vec<Row>,
}

impl Report {
    /// Its file of this kind in the comparison's folder: `json`, `md`, or its pictures.
    pub fn file(&self, folder: &Path, extension: &str) -> PathBuf {
        folder.join(format!("{}.{extension}", self.tested_on.name()))
    }

    /// Reads a report.
    ///
    /// # Errors
    /// A file that cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Report> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
        serde_json::from_str(&text).map_err(|error| Error::data(path, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_those_of_numpy() {
        assert_eq!(Statistic::of(&[]), None);
        assert_eq!(Statistic::of(&[3.0]), Some(Statistic { mean: 3.0, deviation: 0.0 }));
        // numpy.mean and numpy.std(ddof=1) of [1, 2, 4].
        let Statistic { mean, deviation } = Statistic::of(&[1.0, 2.0, 4.0]).unwrap();
        assert!((mean - 2.333_333_333_333).abs() < 1e-12);
        assert!((deviation - 1.527_525_231_652).abs() < 1e-12);
    }
}
