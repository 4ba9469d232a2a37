//! The linear probe: a linear classifier on frozen features (docs/method.md, section 2).
//!
//! `logits = W f + b`, cross-entropy, LARS or SGD with momentum; several learning rates are trained
//! side by side, with one classifier each ([`Heads`](crate::heads::Heads)). The test set is
//! classified after every epoch. As in the authors' script, the *best* epoch is reported, next to
//! the last one.

mod batches;
mod probe;
mod result;
mod run;
mod settings;

pub use self::batches::{AugmentedBatches, Batches, FeatureBatch, StoredBatches};
pub(crate) use self::probe::{Tested, best_epoch, keep_better, tested};
pub use self::probe::{linear, untrained_classes};
pub use self::result::{ClassifierEvent, EpochResult, HeadResult, LinearResult};
pub use self::run::{linear_of_backbone, linear_of_features};
pub use self::settings::{LinearSettings, ProbeOptimizer};
