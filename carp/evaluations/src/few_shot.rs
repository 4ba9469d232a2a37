//! Linear classification with all or a few images per class: one-vs-rest support vector machines on
//! frozen features, mean average precision (docs/method.md, section 2: VOC07, low-shot and full).
//!
//! `x / (|x| + 1e-5)`; one SVM per class, cost C and draw.

use carp::error::{Error, Result};
use datasets::Labels;
use rayon::prelude::*;
use serde::Serialize;
use tensor::random::{Purpose, Stream};

use super::average_precision::{Interpolation, average_precision};
use super::linear_svm::{LinearSvm, SvmOptions};
use crate::features::{ClassIds, FeatureSet};

/// Meaning of label 0 in `[N,C]`: PASCAL VOC's difficult objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difficult {
    /// The class is absent, as in the authors' script.
    Negative,
    /// The image is ignored for this class, in training and test, as in the devkit.
    Ignored,
}

/// Settings; the default is the authors' script.
#[derive(Clone, Debug, Serialize)]
pub struct FewShotOptions {
    /// Costs C; the one with the best mean average precision is reported.
    pub costs: Vec<f64>,
    /// Positive images per class.
    pub shots: Vec<usize>,
    /// Draws for each number of shots.
    pub draws: usize,
    /// Also train on all images.
    pub full: bool,
    /// Meaning of label 0.
    pub difficult: Difficult,
    /// Interpolation of average precision.
    pub interpolation: Interpolation,
    /// Settings of each SVM.
    #[serde(flatten)]
    pub svm: SvmOptions,
    /// Seed of draws and sweeps.
    pub seed: u64,
}

impl Default for FewShotOptions {
    fn default() -> FewShotOptions {
        FewShotOptions {
            costs: vec![0.5],
            shots: vec![1, 2, 4, 8, 16],
            draws: 5,
            full: true,
            difficult: Difficult::Negative,
            interpolation: Interpolation::AllPoints,
            svm: SvmOptions::default(),
            seed: 0,
        }
    }
}

/// The result for one cost.
#[derive(Clone, Debug, Serialize)]
pub struct CostScore {
    /// C.
    pub cost: f64,
    /// Mean average precision, averaged over draws, as a fraction.
    pub map: f64,
    /// Its population standard deviation over draws.
    pub map_sd: f64,
    /// Fraction of images whose class has the largest decision value, averaged over draws; only
    /// with one class per image.
    pub accuracy: Option<f64>,
    /// Number of SVMs that did not reach the tolerance.
    pub not_converged: usize,
}

/// The result for one number of images per class.
#[derive(Clone, Debug, Serialize)]
pub struct ShotScore {
    /// Images per class; `None` means all images.
    pub shots: Option<usize>,
    /// Draws.
    pub draws: usize,
    /// One per cost.
    pub costs: Vec<CostScore>,
    /// The cost with the best mean average precision.
    pub best_cost: f64,
    /// Its mean average precision, as a fraction.
    pub map: f64,
    /// Its standard deviation.
    pub map_sd: f64,
}

/// The result of [`evaluate`], with its settings.
#[derive(Clone, Debug, Serialize)]
pub struct FewShotResult {
    /// The settings.
    #[serde(flatten)]
    pub options: FewShotOptions,
    /// Training features.
    pub train: usize,
    /// Test features.
    pub test: usize,
    /// D.
    pub dim: usize,
    /// Classes.
    pub classes: usize,
    /// Classes with a positive test image: only these have an average precision.
    pub classes_scored: usize,
    /// Few shots first, all images last.
    pub scores: Vec<ShotScore>,
}

/// Trains on `train`, tests on `test`. Takes ownership to scale in place.
///
/// # Errors
/// Sets without labels or that do not match, a class with fewer images than shots, an invalid
/// setting.
pub fn evaluate(
    mut train: FeatureSet,
    mut test: FeatureSet,
    options: FewShotOptions,
) -> Result<FewShotResult> {
    train.same_dim(&test)?;
    check(&options)?;
    let class_labels = class_labels(&mut train.labels, &mut test.labels)?;
    let classes = class_labels.len();
    if options.difficult == Difficult::Ignored {
        for (set, name) in [(&train, "training"), (&test, "test")] {
            if matches!(&set.labels, Labels::Multi { shown, .. } if !shown.contains(&-1)) {
                return Err(Error::usage(format!(
                    "{name} labels have no -1: 0 then means absent, and cannot be ignored"
                )));
            }
        }
    }
    scale(&mut train);
    scale(&mut test);
    let problem = Problem { train: &train, test: &test, class_labels, options: &options };
    let mut scores = Vec::new();
    for &shots in &options.shots {
        let draw = |draw: usize| problem.draw(shots, draw as u64);
        let draws: Vec<Vec<u32>> = (0..options.draws).map(draw).collect::<Result<_>>()?;
        scores.push(problem.shot_score(Some(shots), &draws)?);
    }
    if options.full {
        let all = (0..train.rows() as u32).collect();
        scores.push(problem.shot_score(None, &[all])?);
    }
    let is_shown = |&class: &usize| (0..test.rows()).any(|row| label(&test.labels, row, class) > 0);
    let classes_scored = (0..classes).filter(is_shown).count();
    Ok(FewShotResult {
        train: train.rows(),
        test: test.rows(),
        dim: train.dim,
        classes,
        classes_scored,
        scores,
        options,
    })
}

fn check(options: &FewShotOptions) -> Result<()> {
    let wrong = if options.costs.is_empty() || options.costs.iter().any(|c| c.is_nan() || *c <= 0.0)
    {
        "costs C should be above 0"
    } else if options.shots.contains(&0) {
        "0 images per class: choose at least 1"
    } else if options.draws == 0 && !options.shots.is_empty() {
        "0 draws: choose at least 1"
    } else if options.shots.is_empty() && !options.full {
        "nothing to train: give shots or all images"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("few-shot: {wrong}")))
}

/// The label of each class: of `[N]` those that occur, and the classes take their place; of `[N,C]`
/// the column.
fn class_labels(train: &mut Labels, test: &mut Labels) -> Result<Vec<u32>> {
    match (train, test) {
        (Labels::Single(train), Labels::Single(test)) => {
            let ids = ClassIds::of(&[train, test]);
            (*train, *test) = (ids.classes(train), ids.classes(test));
            Ok((0..ids.count() as u32).map(|class| ids.label(class)).collect())
        }
        (Labels::Multi { classes, .. }, Labels::Multi { classes: other, .. }) => {
            if classes != other {
                let wrong = format!("few-shot: {classes} classes in training, {other} in test");
                return Err(Error::usage(wrong));
            }
            Ok((0..*classes as u32).collect())
        }
        _ => Err(Error::usage(
            "few-shot: training and test features need `labels`, both [N] or both [N,C]".to_owned(),
        )),
    }
}

/// 1 is present, -1 absent, 0 difficult.
fn label(labels: &Labels, row: usize, class: usize) -> i32 {
    match labels {
        Labels::Single(labels) => {
            if labels[row] as usize == class {
                1
            } else {
                -1
            }
        }
        Labels::Multi { classes, shown } => shown[row * classes + class],
        Labels::None => -1,
    }
}

fn scale(set: &mut FeatureSet) {
    set.features.par_chunks_mut(set.dim).for_each(|row| {
        let square: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let length = square.sqrt() + 1e-5;
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    });
}

struct Problem<'a> {
    train: &'a FeatureSet,
    test: &'a FeatureSet,
    /// Of each class.
    class_labels: Vec<u32>,
    options: &'a FewShotOptions,
}

/// The test scores of one class's SVM.
struct ClassScore {
    decisions: Vec<f64>,
    average_precision: Option<f64>,
    has_converged: bool,
}

impl Problem<'_> {
    /// `shots` images of each class, drawn without replacement; an image may be drawn for several
    /// classes.
    fn draw(&self, shots: usize, draw: u64) -> Result<Vec<u32>> {
        let mut rows = Vec::new();
        for (class, label_of_class) in self.class_labels.iter().enumerate() {
            let mut shown: Vec<u32> = (0..self.train.rows() as u32)
                .filter(|&row| label(&self.train.labels, row as usize, class) > 0)
                .collect();
            if shown.len() < shots {
                let there = shown.len();
                let wrong = format!(
                    "few-shot: {shots} images of class {label_of_class}, only {there} available"
                );
                return Err(Error::usage(wrong));
            }
            let index = (shots as u64) << 32 | class as u64;
            Stream::new(self.options.seed, Purpose::Evaluation, draw, index).shuffle(&mut shown);
            rows.extend_from_slice(&shown[..shots]);
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }

    fn shot_score(&self, shots: Option<usize>, draws: &[Vec<u32>]) -> Result<ShotScore> {
        let of_cost = |&cost: &f64| -> Result<CostScore> {
            let (mut maps, mut accuracies, mut not_converged) = (Vec::new(), Vec::new(), 0);
            for (draw, rows) in draws.iter().enumerate() {
                let classes: Vec<ClassScore> = (0..self.class_labels.len())
                    .into_par_iter()
                    .map(|class| self.class_score(class, cost, rows, draw as u64))
                    .collect::<Result<_>>()?;
                let precisions: Vec<f64> =
                    classes.iter().filter_map(|class| class.average_precision).collect();
                if precisions.is_empty() {
                    let wrong = "few-shot: no test image shows any class";
                    return Err(Error::usage(wrong.to_owned()));
                }
                maps.push(mean(&precisions));
                accuracies.extend(self.accuracy(&classes));
                not_converged += classes.iter().filter(|class| !class.has_converged).count();
            }
            let map = mean(&maps);
            let squares: Vec<f64> = maps.iter().map(|x| (x - map) * (x - map)).collect();
            let map_sd = mean(&squares).sqrt();
            let accuracy = (!accuracies.is_empty()).then(|| mean(&accuracies));
            Ok(CostScore { cost, map, map_sd, accuracy, not_converged })
        };
        let costs: Vec<CostScore> =
            self.options.costs.iter().map(of_cost).collect::<Result<_>>()?;
        let better = |a: usize, b: usize| if costs[b].map > costs[a].map { b } else { a };
        let best = &costs[(0..costs.len()).reduce(better).expect("at least one cost")];
        let (best_cost, map, map_sd) = (best.cost, best.map, best.map_sd);
        Ok(ShotScore { shots, draws: draws.len(), costs, best_cost, map, map_sd })
    }

    fn class_score(&self, class: usize, cost: f64, rows: &[u32], draw: u64) -> Result<ClassScore> {
        let Problem { train, test, options, .. } = self;
        let is_ignored = |label: i32| label == 0 && options.difficult == Difficult::Ignored;
        let labelled = rows.iter().map(|&row| row as usize);
        let labelled = labelled.map(|row| (row, label(&train.labels, row, class)));
        let (examples, is_positive): (Vec<&[f32]>, Vec<bool>) = labelled
            .filter(|&(_, label)| !is_ignored(label))
            .map(|(row, label)| (&train.features[row * train.dim..][..train.dim], label > 0))
            .unzip();
        if !is_positive.contains(&true) || !is_positive.contains(&false) {
            let which = if is_positive.contains(&true) { "shows anything but" } else { "shows" };
            let label = self.class_labels[class];
            let wrong = format!("few-shot: no training image {which} class {label}");
            return Err(Error::usage(wrong));
        }
        let mut stream = Stream::new(options.seed, Purpose::Evaluation, draw, class as u64);
        let svm = LinearSvm::train(&examples, &is_positive, cost, &options.svm, &mut stream);
        let decisions: Vec<f64> =
            test.features.chunks_exact(test.dim).map(|x| svm.decision(x)).collect();
        let labels = (0..test.rows()).map(|row| label(&test.labels, row, class));
        let (scores, positive): (Vec<f64>, Vec<bool>) = decisions
            .iter()
            .zip(labels)
            .filter(|&(_, label)| !is_ignored(label))
            .map(|(&score, label)| (score, label > 0))
            .unzip();
        let average_precision = average_precision(&scores, &positive, options.interpolation);
        Ok(ClassScore { decisions, average_precision, has_converged: svm.has_converged })
    }

    /// Fraction of test images whose class has the largest decision value (ties: the first).
    fn accuracy(&self, classes: &[ClassScore]) -> Option<f64> {
        let Labels::Single(labels) = &self.test.labels else { return None };
        let is_right = |&(row, &label): &(usize, &u32)| {
            let better = |a: usize, b: usize| {
                if classes[b].decisions[row] > classes[a].decisions[row] { b } else { a }
            };
            (0..classes.len()).reduce(better) == Some(label as usize)
        };
        let right = labels.iter().enumerate().filter(is_right).count();
        Some(right as f64 / labels.len() as f64)
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}
