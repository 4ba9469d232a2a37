//! How many images a run's data have, and what they take in memory.

/// The size of a run's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataSize {
    /// Images to train on.
    pub pretrain: usize,
    /// Labelled training images; 0 if there are none.
    pub train: usize,
    /// Labelled test images; 0 if there are none.
    pub test: usize,
    /// Most bytes of decoded images in memory.
    pub memory: usize,
}
