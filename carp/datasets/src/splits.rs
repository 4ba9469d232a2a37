//! The splits of a data set: pretraining, labelled training and test.

use std::sync::Arc;

use files::{Error, Result};
use tensor::random::{Purpose, Stream};

use crate::data_size::DataSize;
use crate::dataset::Dataset;
use crate::subset::Subset;

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

    /// How many images there are, and what they take in memory, those of several splits once.
    pub fn size(&self) -> DataSize {
        let Splits { pretrain, train, test } = self;
        let mut seen: Vec<&Arc<dyn Dataset>> = Vec::new();
        for data in [Some(pretrain), train.as_ref(), test.as_ref()] {
            seen.extend(data.filter(|data| !seen.iter().any(|other| Arc::ptr_eq(other, data))));
        }
        let len = |data: &Option<Arc<dyn Dataset>>| data.as_ref().map_or(0, |data| data.len());
        DataSize {
            pretrain: pretrain.len(),
            train: len(train),
            test: len(test),
            memory: seen.iter().map(|data| data.memory()).sum(),
        }
    }

    /// Tests on `count` of the training images, which are then not trained on: drawn at random, but the
    /// same for every run.
    ///
    /// # Errors
    /// Fewer images, none with labels, or training images that may be others than the labelled ones.
    pub fn hold_out(self, count: usize) -> Result<Splits> {
        let name = self.pretrain.name();
        let refused =
            |why: String| Err(Error::Usage(format!("data.held_out is {count}: {name} {why}")));
        let Some(train) = &self.train else {
            return refused("has no labelled images to test on".to_owned());
        };
        let len = train.len();
        check_held_out(name, count, len)?;
        let is_same = Arc::ptr_eq(train, &self.pretrain);
        if !is_same && self.pretrain.label(0).is_some() {
            return refused("would still be trained on: leave data.train away".to_owned());
        }
        let mut order: Vec<u32> = (0..len as u32).collect();
        Stream::new(0, Purpose::Evaluation, 3, 0).shuffle(&mut order);
        let subset = |part: &[u32]| -> Arc<dyn Dataset> {
            let mut indices = part.to_vec();
            indices.sort_unstable();
            Arc::new(Subset::new(Arc::clone(train), indices))
        };
        let (held_out, kept) = order.split_at(count);
        let (test, train) = (subset(held_out), subset(kept));
        let pretrain = if is_same { Arc::clone(&train) } else { self.pretrain };
        Ok(Splits { pretrain, train: Some(train), test: Some(test) })
    }
}

/// Fails if `count` of `len` images cannot be held out.
///
/// # Errors
/// As above.
pub fn check_held_out(name: &str, count: usize, len: usize) -> Result<()> {
    if count < len {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "data.held_out is {count}: {name} has {len} images, and at least one must be left"
    )))
}
