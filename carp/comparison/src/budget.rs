//! How long each setting trains.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cost::Cost;

/// What every setting of a comparison gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Passes over the data.
    Epochs(usize),
    /// Steps, whatever the batch.
    Steps(usize),
    /// Seconds of training, the work before epochs included, at the speed measured before it: a number of
    /// steps.
    Seconds(f64),
    /// Images through the network, those through the teacher and before epochs included.
    Passes(u64),
}

impl Budget {
    /// Steps of a setting of this cost; at least one.
    pub fn steps(self, cost: &Cost) -> usize {
        let steps = match self {
            Budget::Epochs(epochs) => epochs * cost.steps_per_epoch,
            Budget::Steps(steps) => steps,
            Budget::Seconds(seconds) => {
                cost.steps_within(seconds, cost.seconds_per_step, |cost| cost.seconds)
            }
            Budget::Passes(passes) => {
                let of_step = cost.passes_per_step as f64;
                cost.steps_within(passes as f64, of_step, |cost| cost.passes as f64)
            }
        };
        steps.max(1)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Budget::Epochs(epochs) => write!(f, "{epochs} epochs"),
            Budget::Steps(steps) => write!(f, "{steps} steps"),
            Budget::Seconds(seconds) => write!(f, "{seconds} s of training"),
            Budget::Passes(passes) => write!(f, "{passes} images through the network"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::EpochCost;

    fn cost(before: &[(usize, usize, f64)]) -> Cost {
        let of_epoch = |&(from_epoch, passes, seconds): &(usize, usize, f64)| EpochCost {
            from_epoch,
            passes,
            seconds,
        };
        Cost {
            passes_per_step: 96,
            bytes: 0,
            steps_per_epoch: 10,
            seconds_per_step: 0.25,
            before: before.iter().map(of_epoch).collect(),
        }
    }

    /// Steps found one after another, each first step of an epoch with the work before it.
    fn one_by_one(cost: &Cost, budget: f64, of_step: f64, of: fn(&EpochCost) -> f64) -> usize {
        let before = |step: usize| {
            let epoch = step / cost.steps_per_epoch;
            let works = cost.before.iter().rfind(|cost| cost.from_epoch <= epoch);
            if step.is_multiple_of(cost.steps_per_epoch) { works.map_or(0.0, of) } else { 0.0 }
        };
        let mut spent = 0.0;
        let fits = |step: &usize| {
            spent += before(*step) + of_step;
            spent <= budget
        };
        (0..).take_while(fits).count()
    }

    #[test]
    fn work_before_epochs_takes_its_part() {
        for before in [
            &[][..],
            &[(0, 960, 2.5), (1, 0, 0.5)],
            &[(2, 50, 4.0)],
            &[(0, 7, 0.25), (3, 90, 1.0), (4, 0, 0.0)],
        ] {
            let cost = cost(before);
            for budget in 1..400u32 {
                let (seconds, passes) = (f64::from(budget) * 0.125, u64::from(budget) * 32);
                let want = one_by_one(&cost, seconds, 0.25, |cost| cost.seconds).max(1);
                assert_eq!(Budget::Seconds(seconds).steps(&cost), want, "{before:?} {seconds} s");
                let want = one_by_one(&cost, passes as f64, 96.0, |cost| cost.passes as f64);
                let steps = Budget::Passes(passes).steps(&cost);
                assert_eq!(steps, want.max(1), "{before:?} {passes} passes");
                assert!(want == 0 || cost.passes(steps) <= passes, "{before:?} {passes} passes");
                assert!(cost.passes(steps + 1) > passes, "{before:?} {passes} passes");
            }
        }
        assert_eq!(cost(&[(0, 960, 2.5), (1, 0, 0.5)]).passes(21), 21 * 96 + 960);
        assert_eq!(cost(&[(2, 50, 4.0)]).passes(41), 41 * 96 + 3 * 50);
        assert!(Budget::Passes(u64::MAX).steps(&cost(&[(2, 50, 4.0)])) > 1 << 56);
    }

    #[test]
    fn budgets_are_steps() {
        let cost = cost(&[]);
        assert_eq!(Budget::Steps(7).steps(&cost), 7);
        assert_eq!(Budget::Epochs(3).steps(&cost), 30);
        assert_eq!(Budget::Seconds(2.1).steps(&cost), 8);
        assert_eq!(Budget::Passes(1000).steps(&cost), 10);
        assert_eq!(Budget::Passes(1).steps(&cost), 1);
    }
}
