//! Upper bounds of sizes, far above any use: below them no size that is computed from several leaves 64
//! bits.

/// Images, which are numbered by a u32.
pub const IMAGES: usize = u32::MAX as usize;
/// Rows of prototypes.
pub const PROTOTYPES: usize = 1 << 24;
/// Images of a batch; numbers of a feature or of a hidden layer.
pub const UNITS: usize = 1 << 16;
/// Channels of a backbone's first stage.
pub const WIDTH: usize = 1 << 12;
/// Pixels of a side.
pub const SIDE: usize = 1 << 13;
/// Views of an image.
pub const VIEWS: usize = 1 << 8;
/// Threads.
pub const THREADS: usize = 1 << 12;
/// Epochs, of a run or between two events of it.
pub const EPOCHS: usize = 1 << 24;
