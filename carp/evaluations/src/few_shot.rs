//! Linear classification with all or a few images per class: one-vs-rest support vector machines on
//! frozen features, mean average precision (docs/method.md, section 2: VOC07, low-shot and full).
//!
//! `x / (|x| + 1e-5)`; one SVM per class, cost C and draw.

use std::collections::BTreeSet;

use carp::error::{Error, Result};
use datasets::{Labels, Progress, ProgressCounter};
use rayon::prelude::*;
use serde::Serialize;
use tensor::random::{Purpose, Stream};

use super::average_precision::average_precision;
use super::linear_svm;
use crate::accuracy::first_of_most;
use crate::features::{ClassIds, FeatureSet};
pub use crate::few_shot_options::{Difficult, FewShotOptions};
pub use crate::few_shot_scores::{ClassPrecision, CostScore, ShortClass, ShotScore};

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

/// Trains on `train`, tests on `test`. Takes ownership to scale in place; reports the SVMs done.
///
/// # Errors
/// Sets without labels or that do not match, no class that can be trained, an invalid setting.
pub fn evaluate(
    mut train: FeatureSet,
    mut test: FeatureSet,
    options: FewShotOptions,
    progress: Progress,
) -> Result<FewShotResult> {
    train.same_classes(&test)?;
    options.check()?;
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
    let trainings = options.shots.len() * options.draws + usize::from(options.full);
    let progress = progress.counter(trainings * options.costs.len() * classes, 1);
    let problem = Problem { train: &train, test: &test, class_labels, options: &options, progress };
    let mut scores = Vec::new();
    for &shots in &options.shots {
        let draw = |draw: usize| problem.draw(shots, draw as u64);
        let draws: Vec<Vec<u32>> = (0..options.draws).map(draw).collect();
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
    /// Of SVMs.
    progress: ProgressCounter<'a>,
}

/// One class in all draws.
#[derive(Clone, Default)]
struct Found {
    /// Average precision in each draw that has one.
    precisions: Vec<f64>,
    /// Test images that are right, of all draws.
    right: usize,
}

/// The test scores of one class's SVM.
struct ClassScore {
    decisions: Vec<f64>,
    average_precision: Option<f64>,
    has_converged: bool,
}

impl Problem<'_> {
    /// The training images that show a class.
    fn shown(&self, class: usize) -> impl Iterator<Item = u32> + '_ {
        let is_shown = move |&row: &u32| label(&self.train.labels, row as usize, class) > 0;
        (0..self.train.rows() as u32).filter(is_shown)
    }

    /// `shots` images of each class, drawn without replacement; all of a class that has fewer. An
    /// image drawn for several classes is there once for each, as in the authors' script.
    fn draw(&self, shots: usize, draw: u64) -> Vec<u32> {
        let mut rows = Vec::new();
        for class in 0..self.class_labels.len() {
            let mut shown: Vec<u32> = self.shown(class).collect();
            let index = (shots as u64) << 32 | class as u64;
            Stream::new(self.options.seed, Purpose::Evaluation, draw, index).shuffle(&mut shown);
            rows.extend(shown.iter().take(shots));
        }
        rows.sort_unstable();
        rows
    }

    /// The classes with fewer training images than `shots`, except those with none.
    fn short(&self, shots: usize) -> Vec<ShortClass> {
        let count = |class: usize| ShortClass {
            class: self.class_labels[class] as usize,
            images: self.shown(class).count(),
        };
        let is_short = |short: &ShortClass| (1..shots).contains(&short.images);
        (0..self.class_labels.len()).map(count).filter(is_short).collect()
    }

    fn shot_score(&self, shots: Option<usize>, draws: &[Vec<u32>]) -> Result<ShotScore> {
        let mut skipped = BTreeSet::new();
        let of_cost = |&cost: &f64| -> Result<(CostScore, Vec<ClassPrecision>)> {
            let (mut maps, mut accuracies, mut not_converged) = (Vec::new(), Vec::new(), 0);
            let mut found = vec![Found::default(); self.class_labels.len()];
            for (draw, rows) in draws.iter().enumerate() {
                let classes: Vec<Option<ClassScore>> = (0..self.class_labels.len())
                    .into_par_iter()
                    .map(|class| {
                        let score = self.class_score(class, cost, rows, draw as u64);
                        self.progress.add(1);
                        score
                    })
                    .collect();
                skipped
                    .extend((0..self.class_labels.len()).filter(|&class| classes[class].is_none()));
                let trained = || classes.iter().flatten();
                if trained().next().is_none() {
                    let wrong = "few-shot: no class has training images with it and without it";
                    return Err(Error::usage(wrong.to_owned()));
                }
                let precisions: Vec<f64> =
                    trained().filter_map(|class| class.average_precision).collect();
                if precisions.is_empty() {
                    let wrong = "few-shot: no test image shows a trained class";
                    return Err(Error::usage(wrong.to_owned()));
                }
                maps.push(mean(&precisions));
                for (found, class) in found.iter_mut().zip(&classes) {
                    let precision = class.as_ref().and_then(|class| class.average_precision);
                    found.precisions.extend(precision);
                }
                accuracies.extend(self.accuracy(&classes, &mut found));
                not_converged += trained().filter(|class| !class.has_converged).count();
            }
            let map = mean(&maps);
            let squares: Vec<f64> = maps.iter().map(|x| (x - map) * (x - map)).collect();
            let map_sd = mean(&squares).sqrt();
            let accuracy = (!accuracies.is_empty()).then(|| mean(&accuracies));
            let score = CostScore { cost, map, map_sd, accuracy, not_converged };
            Ok((score, self.per_class(&found, draws.len())))
        };
        let (costs, mut per_class): (Vec<CostScore>, Vec<Vec<ClassPrecision>>) =
            self.options.costs.iter().map(of_cost).collect::<Result<_>>()?;
        let best = first_of_most(costs.iter().map(|cost| cost.map));
        let (best, per_class) = (&costs[best], per_class.swap_remove(best));
        let (best_cost, map, map_sd) = (best.cost, best.map, best.map_sd);
        let short = shots.map_or(vec![], |shots| self.short(shots));
        let label = |class: usize| self.class_labels[class] as usize;
        let skipped = skipped.into_iter().map(label).collect();
        let draws = draws.len();
        Ok(ShotScore { shots, draws, costs, best_cost, map, map_sd, short, skipped, per_class })
    }

    /// The means over draws.
    fn per_class(&self, found: &[Found], draws: usize) -> Vec<ClassPrecision> {
        let is_single = matches!(self.test.labels, Labels::Single(_));
        let class = |(class, found): (usize, &Found)| {
            let is_shown = |&row: &usize| label(&self.test.labels, row, class) > 0;
            let images = (0..self.test.rows()).filter(is_shown).count();
            let accuracy = || found.right as f64 / (images * draws) as f64;
            ClassPrecision {
                label: self.class_labels[class],
                name: self.test.class_names.get(self.class_labels[class] as usize).cloned(),
                images,
                average_precision: (!found.precisions.is_empty()).then(|| mean(&found.precisions)),
                accuracy: (is_single && images > 0).then(accuracy),
            }
        };
        found.iter().enumerate().map(class).collect()
    }

    /// `None` if the training images all show the class, or none does.
    fn class_score(&self, class: usize, cost: f64, rows: &[u32], draw: u64) -> Option<ClassScore> {
        let Problem { train, test, options, .. } = self;
        let is_ignored = |label: i32| label == 0 && options.difficult == Difficult::Ignored;
        let labelled = rows.iter().map(|&row| row as usize);
        let labelled = labelled.map(|row| (row, label(&train.labels, row, class)));
        let (examples, is_positive): (Vec<&[f32]>, Vec<bool>) = labelled
            .filter(|&(_, label)| !is_ignored(label))
            .map(|(row, label)| (&train.features[row * train.dim..][..train.dim], label > 0))
            .unzip();
        if !is_positive.contains(&true) || !is_positive.contains(&false) {
            return None;
        }
        let mut stream = Stream::new(options.seed, Purpose::Evaluation, draw, class as u64);
        let svm = linear_svm::train(&examples, &is_positive, cost, &options.svm, &mut stream);
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
        Some(ClassScore { decisions, average_precision, has_converged: svm.has_converged })
    }

    /// Fraction of test images whose class has the largest decision value (ties: the first), which
    /// are counted for each class.
    fn accuracy(&self, classes: &[Option<ClassScore>], found: &mut [Found]) -> Option<f64> {
        let Labels::Single(labels) = &self.test.labels else { return None };
        let is_right = |&(row, &label): &(usize, &u32)| {
            let trained = classes.iter().enumerate();
            let decisions = trained.filter_map(|(c, s)| Some((c, s.as_ref()?.decisions[row])));
            let best = decisions.reduce(|a, b| if b.1 > a.1 { b } else { a });
            best.is_some_and(|(class, _)| class == label as usize)
        };
        let mut right = 0;
        for (_, &label) in labels.iter().enumerate().filter(is_right) {
            found[label as usize].right += 1;
            right += 1;
        }
        Some(right as f64 / labels.len() as f64)
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two features, each near its class; class 1 has one training image, and 2 only test images.
    fn sets() -> (FeatureSet, FeatureSet) {
        let set = |features: &[f32], labels: &[u32]| FeatureSet {
            features: features.to_vec(),
            dim: 2,
            labels: Labels::Single(labels.to_vec()),
            class_names: vec![],
        };
        let train = set(&[1.0, 0.0, 0.9, 0.1, 0.8, 0.0, 0.0, 1.0], &[0, 0, 0, 1]);
        (train, set(&[1.0, 0.1, 0.1, 1.0, -1.0, -1.0], &[0, 1, 2]))
    }

    #[test]
    fn classes_with_too_few_images_give_what_they_have() {
        let (train, test) = sets();
        let options = FewShotOptions { shots: vec![1, 3], ..FewShotOptions::default() };
        let seen = std::sync::Mutex::new(Vec::new());
        let show = |done, all| seen.lock().unwrap().push((done, all));
        let result = evaluate(train, test, options, Progress::new(&show)).unwrap();
        // Five draws of 1 and of 3 images and once all, three classes each.
        let svms = |done| (done, 33);
        assert_eq!(seen.into_inner().unwrap(), (1..=33).map(svms).collect::<Vec<_>>());
        let [one, three, full] = &result.scores[..] else { panic!("two shots and all") };
        assert_eq!(three.short, [ShortClass { class: 1, images: 1 }]);
        assert!(one.short.is_empty() && full.short.is_empty());
        for score in &result.scores {
            // Both classes rank their own image first; of three images two are right.
            assert_eq!((score.map, &score.skipped[..]), (1.0, &[2][..]));
            assert!((score.costs[0].accuracy.unwrap() - 2.0 / 3.0).abs() < 1e-12);
            let class = |label, average_precision, accuracy| ClassPrecision {
                label,
                name: None,
                images: 1,
                average_precision,
                accuracy: Some(accuracy),
            };
            let wanted = [class(0, Some(1.0), 1.0), class(1, Some(1.0), 1.0), class(2, None, 0.0)];
            assert_eq!(score.per_class, wanted);
        }
        assert_eq!(three.note().unwrap(), "all there are of class 1 (1); not trained: class 2");
        assert_eq!(full.note().unwrap(), "not trained: class 2");
    }

    #[test]
    fn an_image_drawn_for_two_classes_counts_twice() {
        let (train, test) = sets();
        // The first image shows both classes, the second class 0, the third class 1, the last none.
        let shown = vec![1, 1, 1, -1, -1, 1, -1, -1];
        let train = FeatureSet { labels: Labels::Multi { classes: 2, shown }, ..train };
        let options = FewShotOptions::default();
        let class_labels = vec![0, 1];
        let progress = Progress::none().counter(0, 1);
        let problem =
            Problem { train: &train, test: &test, class_labels, options: &options, progress };
        assert_eq!(problem.draw(2, 0), [0, 0, 1, 2]);
        assert_eq!(problem.draw(8, 0), [0, 0, 1, 2]);
    }
}
