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
    /// Seconds of training, at the speed measured before it: a number of steps.
    Seconds(f64),
    /// Images through the network, those through the teacher included.
    Passes(u64),
}

impl Budget {
    /// Steps of a setting of this cost; at least one.
    pub fn steps(self, cost: &Cost) -> usize {
        let steps = match self {
            Budget::Epochs(epochs) => epochs * cost.steps_per_epoch,
            Budget::Seconds(seconds) => (seconds / cost.seconds_per_step) as usize,
            Budget::Passes(passes) => (passes / (cost.passes_per_step as u64)) as usize,
        };
        steps.max(1)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Budget::Epochs(epochs) => write!(f, "{epochs} epochs"),
            Budget::Seconds(seconds) => write!(f, "{seconds} s of training"),
            Budget::Passes(passes) => write!(f, "{passes} images through the network"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_steps() {
        let cost =
            Cost { passes_per_step: 96, bytes: 0, steps_per_epoch: 10, seconds_per_step: 0.25 };
        assert_eq!(Budget::Epochs(3).steps(&cost), 30);
        assert_eq!(Budget::Seconds(2.1).steps(&cost), 8);
        assert_eq!(Budget::Passes(1000).steps(&cost), 10);
        assert_eq!(Budget::Passes(1).steps(&cost), 1);
    }
}
