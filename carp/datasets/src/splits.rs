//! The splits of a data set: pretraining, labelled training and test.

use std::sync::Arc;

use crate::dataset::Dataset;

/// A data set as used in a run.
#[derive(Clone)]
pub struct Splits {
    /// Training images, used without labels.
    pub pretrain: Arc<dyn Dataset>,
    /// Images with one class each for k-NN's bank, if any.
    pub train: Option<Arc<dyn Dataset>>,
    /// Held-out images with one class each, if any.
    pub test: Option<Arc<dyn Dataset>>,
}

impl Splits {
    /// Two labelled splits; training uses the first.
    pub fn labelled(train: impl Dataset + 'static, test: impl Dataset + 'static) -> Splits {
        let train: Arc<dyn Dataset> = Arc::new(train);
        Splits { pretrain: Arc::clone(&train), train: Some(train), test: Some(Arc::new(test)) }
    }
}
