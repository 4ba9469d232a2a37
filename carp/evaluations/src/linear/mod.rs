//! The linear probe: a linear classifier on frozen features (spec, section 2).
//!
//! `logits = W f + b`, cross-entropy, LARS or SGD with momentum; several learning rates are trained
//! at once, each with a classifier of its own ([`Heads`](crate::heads::Heads)). After every epoch the test set is
//! classified. As in the authors' script the *best* epoch is what a classifier is reported with;
//! the last one stands beside it.

mod batches;
mod probe;
mod result;
mod run;
mod settings;

pub use self::batches::{AugmentedBatches, Batches, FeatureBatch, StoredBatches};
pub(crate) use self::probe::{accuracies, best_epoch};
pub use self::probe::{check_classes, linear};
pub use self::result::{ClassifierEvent, EpochResult, HeadResult, LinearResult};
pub use self::run::{linear_of_backbone, linear_of_features};
pub use self::settings::{LinearSettings, ProbeOptimizer};
