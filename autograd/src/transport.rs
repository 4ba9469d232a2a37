//! How processes that share a step exchange numbers.

use tensor::Result;

/// One of several processes, the ranks, that run the same list in step.
pub trait Transport: Send + Sync {
    /// Its number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Fills `all` with every rank's `mine`, one behind the other in the order of the ranks. All ranks
    /// call it in the same order with the same lengths.
    ///
    /// # Errors
    /// A rank that is gone.
    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()>;
}

/// A process that holds all shards itself.
pub struct Alone;

impl Transport for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        all.copy_from_slice(mine);
        Ok(())
    }
}
