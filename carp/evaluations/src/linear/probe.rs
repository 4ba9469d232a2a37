//! Trains classifiers side by side and tests them after every epoch.

use std::collections::BTreeSet;

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::optimizer::Optimizer;

use super::batches::{Batches, FeatureBatch};
use super::result::{ClassifierEvent, EpochResult, HeadResult, LinearResult};
use super::settings::{LinearSettings, ProbeOptimizer};
use crate::accuracy::{Accuracy, Counter, first_of_most, predicted};
use crate::confusion::Confusion;
use crate::features::Labelled;
use crate::heads::{Heads, HeadsConfig};

/// The classes of test images that no training image has, rising: their images count as wrong.
///
/// # Errors
/// Training images with fewer than two classes.
pub fn untrained_classes(train: &[u32], test: &[u32]) -> Result<Vec<u32>> {
    let trained: BTreeSet<u32> = train.iter().copied().collect();
    if trained.len() < 2 {
        let count = train.len();
        return Err(Error::usage(format!(
            "the {count} training images have fewer than two classes"
        )));
    }
    let tested: BTreeSet<u32> = test.iter().copied().collect();
    Ok(tested.difference(&trained).copied().collect())
}

/// Trains and tests classifiers on `train`'s batches of features of length `dim`. The test set is
/// not empty, and all labels are below `classes`.
///
/// # Errors
/// Settings out of range, an image that cannot be read, or a loss that is not finite with every
/// learning rate.
pub fn linear(
    settings: &LinearSettings,
    train: &mut dyn Batches,
    test: Labelled,
    (dim, classes): (usize, usize),
    device: Device,
    show: &mut dyn FnMut(ClassifierEvent),
) -> Result<LinearResult> {
    settings.check()?;
    let rows = train.rows();
    let mut settings = settings.clone();
    settings.batch_size = settings.batch_size.min(rows);
    let LinearSettings { momentum, trust, weight_decay, epochs, batch_size, seed, .. } = settings;
    let mut heads = Heads::new(
        &HeadsConfig {
            dim,
            classes,
            batch: batch_size,
            heads: settings.lr.len(),
            optimizer: match settings.optimizer {
                ProbeOptimizer::Lars => {
                    Optimizer::Lars { momentum: momentum as f32, eta: trust as f32 }
                }
                ProbeOptimizer::Sgd => Optimizer::Sgd { momentum: momentum as f32 },
            },
            weight_decay: weight_decay as f32,
        },
        device,
    )?;
    heads.initialize(seed);

    let steps_per_epoch = rows.div_ceil(batch_size);
    let steps = epochs * steps_per_epoch;
    let mut history: Vec<Vec<EpochResult>> = vec![Vec::new(); settings.lr.len()];
    let mut best: Vec<Option<Tested>> = vec![None; settings.lr.len()];
    let mut batch = FeatureBatch::default();
    for epoch in 0..epochs {
        let rate = |&lr: &f64| settings.schedule.at(lr, epoch, epochs) as f32;
        let rates: Vec<f32> = settings.lr.iter().map(rate).collect();
        let mut losses = vec![0.0; rates.len()];
        for step in 1..=steps_per_epoch {
            train.next(batch_size, &mut batch)?;
            let share = batch.labels.len() as f64 / rows as f64;
            let batch_losses = heads.step(&batch.features, &batch.labels, &rates)?;
            for (loss, batch_loss) in losses.iter_mut().zip(batch_losses) {
                *loss += share * f64::from(batch_loss);
            }
            show(ClassifierEvent::Step { step: epoch * steps_per_epoch + step, steps });
        }
        if losses.iter().all(|loss| !loss.is_finite()) {
            let epoch = epoch + 1;
            return Err(Error::usage(format!(
                "the loss is not finite in epoch {epoch} with learning rate {:?}: choose lower ones",
                settings.lr
            )));
        }
        let tested = tested(&mut heads, test, (dim, classes), settings.lr.len())?;
        let results: Vec<EpochResult> = losses
            .into_iter()
            .zip(&tested)
            .map(|(loss, test)| EpochResult { epoch: epoch + 1, loss, test: test.accuracy })
            .collect();
        show(ClassifierEvent::Epoch(&results));
        history.iter_mut().zip(results).for_each(|(epochs, result)| epochs.push(result));
        best.iter_mut().zip(tested).for_each(|(best, tested)| keep_better(best, tested));
    }

    let heads: Vec<HeadResult> =
        settings.lr.iter().zip(history).map(|(&lr, epochs)| head_result(lr, epochs)).collect();
    let best_head = first_of_most(heads.iter().map(|head| head.best.test.top1));
    let best = best.swap_remove(best_head).expect("at least one epoch");
    Ok(LinearResult {
        settings,
        train_images: rows,
        test_images: test.labels.len(),
        classes,
        dim,
        heads,
        best_head,
        untrained: vec![],
        confusion: best.confusion(test.labels, classes),
    })
}

fn head_result(lr: f64, epochs: Vec<EpochResult>) -> HeadResult {
    let last = *epochs.last().expect("at least one epoch");
    HeadResult { lr, best: best_epoch(&epochs), last, epochs }
}

/// The first epoch with the highest top-1 accuracy.
pub(crate) fn best_epoch(epochs: &[EpochResult]) -> EpochResult {
    epochs[first_of_most(epochs.iter().map(|epoch| epoch.test.top1))]
}

/// How a head does on the test set.
#[derive(Clone)]
pub(crate) struct Tested {
    /// Its accuracy.
    pub accuracy: Accuracy,
    /// The predicted class of each test image.
    predicted: Vec<Option<u32>>,
}

impl Tested {
    /// The predictions against the true classes, all below `classes`.
    pub(crate) fn confusion(&self, labels: &[u32], classes: usize) -> Confusion {
        let known: Vec<u32> = (0..classes as u32).collect();
        Confusion::of(&known, labels.iter().copied().zip(self.predicted.iter().copied()))
    }
}

/// Keeps the first epoch with the highest top-1 accuracy, as [`best_epoch`] does.
pub(crate) fn keep_better(best: &mut Option<Tested>, next: Tested) {
    if best.as_ref().is_none_or(|best| next.accuracy.top1 > best.accuracy.top1) {
        *best = Some(next);
    }
}

/// Tests each of the `count` heads.
pub(crate) fn tested(
    heads: &mut Heads,
    test: Labelled,
    (dim, classes): (usize, usize),
    count: usize,
) -> Result<Vec<Tested>> {
    /// Test images per batch of logits.
    const ROWS: usize = 4096;
    let mut counters = vec![(Counter::default(), Vec::with_capacity(test.labels.len())); count];
    for (features, labels) in test.features.chunks(ROWS * dim).zip(test.labels.chunks(ROWS)) {
        let logits = heads.logits(features)?;
        for (logits, &label) in logits.chunks_exact(count * classes).zip(labels) {
            let by_head = logits.chunks_exact(classes).zip(&mut counters);
            for (logits, (counter, classes)) in by_head {
                counter.add(logits, label);
                classes.push(predicted(logits));
            }
        }
    }
    let tested =
        |(counter, predicted): (Counter, _)| Tested { accuracy: counter.accuracy(), predicted };
    Ok(counters.into_iter().map(tested).collect())
}
