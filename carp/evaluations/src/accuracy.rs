//! Top-1 and top-5 accuracy of logits, and the best of several.

use serde::Serialize;

/// The 5 in top-5.
const TOP: usize = 5;

/// Accuracies as fractions of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Accuracy {
    /// Top-1: the class with the largest logit was right.
    pub top1: f64,
    /// Top-5: the right class was among the five largest logits.
    pub top5: f64,
}

/// Counts right answers, image by image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    images: usize,
    top1: usize,
    top5: usize,
}

impl Counter {
    /// Adds an image with these logits, one per class.
    pub fn add(&mut self, logits: &[f32], label: u32) {
        let rank = rank(logits, label as usize);
        self.images += 1;
        self.top1 += usize::from(rank == 0);
        self.top5 += usize::from(rank < TOP);
    }

    /// The resulting accuracy.
    pub fn accuracy(&self) -> Accuracy {
        let share = |count: usize| count as f64 / self.images.max(1) as f64;
        Accuracy { top1: share(self.top1), top5: share(self.top5) }
    }
}

/// How many classes rank before `label`: those with a larger logit, and lower classes with an equal
/// one. A class whose logit is NaN ranks last.
fn rank(logits: &[f32], label: usize) -> usize {
    let own = logits[label];
    if own.is_nan() {
        return logits.len().max(TOP);
    }
    let before = |(class, &logit): (usize, &f32)| logit > own || (logit == own && class < label);
    logits.iter().enumerate().filter(|&entry| before(entry)).count()
}

/// The class with the largest logit, the lower one on a tie: the one that ranks first. `None` if all
/// logits are NaN.
pub fn predicted(logits: &[f32]) -> Option<u32> {
    let numbers = (0..).zip(logits).filter(|(_, logit)| !logit.is_nan());
    numbers.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(class, _)| class)
}

/// The place of the largest value, the first on a tie.
pub fn first_of_most(values: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_class_and_nan_is_wrong() {
        let logits = [0.5, 2.0, 2.0, -1.0, 0.0, 1.0, 0.25];
        let ranks: Vec<usize> = (0..7).map(|label| rank(&logits, label)).collect();
        assert_eq!(ranks, [3, 0, 1, 6, 5, 2, 4]);
        assert_eq!(rank(&[f32::NAN, 1.0], 0), 5);
        assert_eq!(rank(&[f32::NAN, 1.0], 1), 0);
        assert_eq!((predicted(&logits), predicted(&[f32::NAN, -1.0])), (Some(1), Some(1)));
        assert_eq!(
            (predicted(&[f32::NAN; 2]), predicted(&[f32::NEG_INFINITY; 2])),
            (None, Some(0))
        );
        let mut counter = Counter::default();
        (0..7).for_each(|label| counter.add(&logits, label));
        let want = Accuracy { top1: 1.0 / 7.0, top5: 5.0 / 7.0 };
        assert_eq!(counter.accuracy(), want);
        assert_eq!(Counter::default().accuracy(), Accuracy::default());
    }
}
