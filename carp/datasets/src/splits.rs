//! A data set in its parts: to learn from, to compare with, to test with.

use std::sync::Arc;

use crate::dataset::Dataset;

/// A data set as a run uses it.
pub struct Splits {
    /// What the network learns from, without looking at labels.
    pub pretrain: Arc<dyn Dataset>,
    /// Pictures with one class each for k-NN's bank, if there are any.
    pub train: Option<Arc<dyn Dataset>>,
    /// Held-out pictures with one class each, if there are any.
    pub test: Option<Arc<dyn Dataset>>,
}

impl Splits {
    /// Both splits labelled, and the training pictures to learn from.
    pub fn labelled(train: impl Dataset + 'static, test: impl Dataset + 'static) -> Splits {
        let train: Arc<dyn Dataset> = Arc::new(train);
        Splits { pretrain: Arc::clone(&train), train: Some(train), test: Some(Arc::new(test)) }
    }
}
