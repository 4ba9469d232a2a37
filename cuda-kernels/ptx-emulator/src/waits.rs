//! Whether a block that waits for others will wait forever.

use std::hash::{DefaultHasher, Hasher};

use super::warp::Warp;

/// Rounds of waiting after which a block is asked whether it will wait forever: finding that out costs as
/// much as the waiting.
const PATIENCE: u64 = 64;

/// Rounds of a block that waits for others while no memory changes (Brent: An Improved Monte Carlo
/// Factorization Algorithm, 1980, finds the cycle): once its warps are what they have been before, they
/// will be so forever.
#[derive(Debug, Default)]
pub struct Waits {
    /// Changes of memory before the first of these rounds.
    changes: u64,
    rounds: u64,
    /// What the warps were like after as many rounds as the last power of two.
    before: Option<u64>,
    forever: bool,
}

impl Waits {
    /// Counts another such round, after so many changes of memory; has it just become clear that it goes on
    /// like this?
    pub fn another(&mut self, changes: u64, warps: &[Warp]) -> bool {
        if self.changes != changes {
            *self = Waits { changes, ..Waits::default() };
        }
        self.rounds += 1;
        if self.forever || self.rounds < PATIENCE {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        warps.iter().for_each(|warp| warp.hash_state(&mut hasher));
        let now = Some(hasher.finish());
        self.forever = self.before == now;
        if self.rounds.is_power_of_two() {
            self.before = now;
        }
        self.forever
    }
}
