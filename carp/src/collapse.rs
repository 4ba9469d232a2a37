//! Detects a run of CARP that has collapsed.
//!
//! C + H is ln N_B both if every assignment is uniform (C = ln N_B, H = 0) and if every image goes
//! to the same prototype of a block (C = 0, H = ln N_B): docs/method.md, 1.5. A loss that stays
//! there is taken for a collapse, and C and H tell which. Other constant assignments have a lower
//! loss: prototypes and features themselves tell of them.

use crate::diversity::Diversity;
use crate::learner::{LossParts, Terms};

/// Steps that the loss must stay within [`NEAR`] of ln N_B.
const WINDOW: usize = 200;
/// Relative distance that counts as near.
const NEAR: f32 = 0.01;
/// Effective rank of the features below which they have collapsed.
const LEAST_RANK: f64 = 1.05;

/// Watches the loss of a run.
pub struct CollapseWatch {
    log_size: f32,
    near_for: usize,
    told: bool,
    told_partial: bool,
}

impl CollapseWatch {
    /// A watch for blocks of `partition_size` prototypes.
    pub fn new(partition_size: usize) -> CollapseWatch {
        CollapseWatch {
            log_size: (partition_size as f32).ln(),
            near_for: 0,
            told: false,
            told_partial: false,
        }
    }

    /// Takes the terms of a step; returns a one-line warning, once per run, when it has collapsed.
    pub fn observe(&mut self, terms: Terms) -> Option<String> {
        let parts = terms.parts?;
        let LossParts { consistency, entropy } = parts;
        let near = (parts.sum() - self.log_size).abs() <= NEAR * self.log_size;
        // With one prototype per block ln N_B = 0: the loss is always 0 and means nothing.
        self.near_for = if near && self.log_size > 0.0 { self.near_for + 1 } else { 0 };
        if self.told || self.near_for < WINDOW {
            return None;
        }
        self.told = true;
        let (kind, advice) = if entropy < 0.5 * self.log_size {
            (
                "uniform collapse: every image is assigned evenly to all prototypes",
                "raise optimizer.base_lr, or lower model.partition_size",
            )
        } else {
            (
                "one-hot collapse: all images are assigned to the same prototypes",
                "lower optimizer.base_lr or add optimizer.warmup_epochs, and raise train.batch_size",
            )
        };
        Some(format!(
            "consistency {consistency:.3} and entropy {entropy:.3} have added up to ln(partition \
             size) = {:.3} for {WINDOW} steps: {kind}; {advice}",
            self.log_size
        ))
    }

    /// Looks at prototypes and features; returns a one-line warning, once per run, where they have
    /// collapsed in part.
    pub fn look(&mut self, diversity: Diversity) -> Option<String> {
        let Diversity { distinct_prototypes, compared_prototypes, .. } = diversity;
        let rank = diversity.effective_rank;
        let what = if 2 * distinct_prototypes < compared_prototypes {
            format!("only {distinct_prototypes} of {compared_prototypes} prototypes are distinct")
        } else if diversity.is_one_per_block {
            "all images choose the same prototypes".to_owned()
        } else if rank < LEAST_RANK {
            format!("the features have an effective rank of {rank:.2}")
        } else {
            return None;
        };
        let is_new = !std::mem::replace(&mut self.told_partial, true);
        let advice = "lower optimizer.base_lr or add optimizer.warmup_epochs, and raise \
                      train.batch_size";
        is_new.then(|| format!("{what}: partial collapse; {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(consistency: f32, entropy: f32, steps: usize) -> Option<String> {
        let mut watch = CollapseWatch::new(512);
        let parts = Some(LossParts { consistency, entropy });
        let terms = Terms { loss: consistency + entropy, parts };
        let mut told = (0..steps).filter_map(|_| watch.observe(terms));
        let first = told.next();
        assert_eq!(told.next(), None, "told twice");
        first
    }

    /// With `model.entropy_term = false` the loss is C, which is 0 then.
    #[test]
    fn a_collapse_shows_in_both_terms_whatever_the_loss() {
        let mut watch = CollapseWatch::new(512);
        let parts = Some(LossParts { consistency: 0.01, entropy: 6.228 });
        let mut lines = (0..WINDOW).filter_map(|_| watch.observe(Terms { loss: 0.01, parts }));
        assert!(lines.next().unwrap().contains("one-hot collapse"));
    }

    #[test]
    fn names_the_collapse() {
        assert!(watch(6.238, 0.001, 500).unwrap().contains("uniform collapse"));
        assert!(watch(0.01, 6.228, 500).unwrap().contains("one-hot collapse"));
    }

    #[test]
    fn partial_collapse_is_told_once() {
        let healthy = Diversity {
            prototypes_in_use: 0.4,
            is_one_per_block: false,
            distinct_prototypes: 100,
            compared_prototypes: 128,
            effective_rank: 20.0,
        };
        let look = |diversity| CollapseWatch::new(512).look(diversity);
        assert_eq!(look(healthy), None);
        let told = |diversity, part| look(diversity).is_some_and(|line| line.contains(part));
        let few = Diversity { distinct_prototypes: 63, ..healthy };
        assert!(told(few, "only 63 of 128 prototypes are distinct"));
        let unused = Diversity { prototypes_in_use: 0.03125, is_one_per_block: true, ..healthy };
        assert!(told(unused, "all images choose the same prototypes"));
        assert!(told(Diversity { effective_rank: 1.02, ..healthy }, "effective rank of 1.02"));
        let mut watch = CollapseWatch::new(512);
        let lines = [healthy, few, few, unused].map(|diversity| watch.look(diversity).is_some());
        assert_eq!(lines, [false, true, false, false]);
    }

    #[test]
    fn is_silent_before_the_window_and_for_healthy_runs() {
        assert_eq!(watch(6.238, 0.0, WINDOW - 1), None);
        assert_eq!(watch(3.0, 0.5, 500), None);
        let mut single = CollapseWatch::new(1);
        let parts = Some(LossParts { consistency: 0.0, entropy: 0.0 });
        let zero = Terms { loss: 0.0, parts };
        assert!((0..500).all(|_| single.observe(zero).is_none()));
    }
}
