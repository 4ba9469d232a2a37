//! How settings change over a training run (docs/method.md, 1.8).

use std::f64::consts::PI;

use serde::Serialize;

use crate::error::{Error, Result};

/// Cosine from `base` to `end` over `steps` steps, after an optional linear warm-up.
///
/// With T = steps - warmup_steps: warm-up is linspace(warmup_start, base, warmup_steps), both ends
/// included; then `end + (base - end) (1 + cos(pi t / T)) / 2` for t = 0 .. T-1, so the end is
/// never quite reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// Value after the warm-up.
    pub base: f64,
    /// Value at the end of the cosine.
    pub end: f64,
    /// Total steps.
    pub steps: usize,
    /// Steps of the warm-up, at most `steps`.
    pub warmup_steps: usize,
    /// First value of the warm-up.
    pub warmup_start: f64,
}

impl Cosine {
    /// A cosine without warm-up.
    pub fn new(base: f64, end: f64, steps: usize) -> Cosine {
        Cosine { base, end, steps, warmup_steps: 0, warmup_start: 0.0 }
    }

    /// The value at step `step`; after the last step it stays at `end`.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            let span = (self.warmup_steps - 1).max(1) as f64;
            return self.warmup_start + (self.base - self.warmup_start) * step as f64 / span;
        }
        let (t, steps) = (step - self.warmup_steps, self.steps.saturating_sub(self.warmup_steps));
        if t >= steps {
            return self.end;
        }
        self.end + 0.5 * (self.base - self.end) * (1.0 + cos_pi(t as f64 / steps as f64))
    }
}

/// How a classifier's learning rate changes from epoch to epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum EpochSchedule {
    /// Constant.
    Constant,
    /// [`Cosine`] to 0 over the epochs.
    Cosine,
    /// Times `factor` at each of the epochs `milestones`, counted from 0.
    Multistep {
        /// Epochs at which it drops.
        milestones: Vec<usize>,
        /// Factor at each drop.
        factor: f64,
    },
}

impl EpochSchedule {
    /// Fails unless every number is in range.
    ///
    /// # Errors
    /// As above.
    pub fn check(&self) -> Result<()> {
        match self {
            EpochSchedule::Multistep { factor, .. } if !(*factor > 0.0 && factor.is_finite()) => {
                Err(Error::usage(format!("multistep's factor {factor}: choose above 0")))
            }
            _ => Ok(()),
        }
    }

    /// The learning rate in epoch `epoch` of `epochs`, from 0.
    pub fn at(&self, base: f64, epoch: usize, epochs: usize) -> f64 {
        match self {
            EpochSchedule::Constant => base,
            EpochSchedule::Cosine => Cosine::new(base, 0.0, epochs).at(epoch),
            EpochSchedule::Multistep { milestones, factor } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= epoch).count();
                (0..passed).fold(base, |lr, _| lr * factor)
            }
        }
    }
}

/// cos(pi x) for x in [0, 1], by the Taylor series of sin at pi (1/2 - x): 14 terms are exact to
/// f64's last bit there. Our own code, so that every machine trains with the same schedule.
fn cos_pi(x: f64) -> f64 {
    let y = PI * (0.5 - x);
    let series = (1..14).rev().fold(1.0, |sum, i| {
        let (a, b) = (f64::from(2 * i), f64::from(2 * i + 1));
        1.0 - sum * y * y / (a * b)
    });
    y * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_without_warm_up() {
        let schedule = Cosine::new(1.0, 0.2, 4);
        for (step, cos) in [1.0, 0.5f64.sqrt(), 0.0, -0.5f64.sqrt()].into_iter().enumerate() {
            assert!((schedule.at(step) - (0.2 + 0.4 * (1.0 + cos))).abs() < 1e-15);
        }
        assert_eq!(schedule.at(4), 0.2);
    }

    #[test]
    fn warm_up_includes_both_ends() {
        let schedule = Cosine { warmup_steps: 3, warmup_start: 0.5, ..Cosine::new(2.0, 0.0, 5) };
        let values: Vec<_> = (0..5).map(|step| schedule.at(step)).collect();
        assert_eq!(values, [0.5, 1.25, 2.0, 2.0, 1.0]);
        let short = Cosine { warmup_steps: 1, ..schedule };
        assert_eq!(short.at(0), 0.5);
    }

    #[test]
    fn epochs_of_a_classifier() {
        let multistep = EpochSchedule::Multistep { milestones: vec![2, 3], factor: 0.5 };
        let values: Vec<_> = (0..5).map(|epoch| multistep.at(8.0, epoch, 5)).collect();
        assert_eq!(values, [8.0, 8.0, 4.0, 2.0, 2.0]);
        assert!(multistep.check().is_ok());
        for factor in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
            let wrong = EpochSchedule::Multistep { milestones: vec![2], factor };
            assert!(wrong.check().is_err(), "{factor}");
        }
        assert_eq!(EpochSchedule::Constant.at(8.0, 4, 5), 8.0);
        assert!((EpochSchedule::Cosine.at(8.0, 1, 2) - 4.0).abs() < 1e-15);
    }

    #[test]
    fn cos_pi_is_exact_to_the_last_bits() {
        for i in 0..=1000 {
            let x = f64::from(i) / 1000.0;
            assert!((cos_pi(x) - (PI * x).cos()).abs() < 6e-16, "at {x}");
        }
    }
}
