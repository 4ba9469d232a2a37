//! Scratch memory for making views.

use datasets::ResizeScratch;

/// Memory reused from image to image.
#[derive(Default)]
pub struct Scratch {
    pub(super) resize: ResizeScratch,
    pub(super) pixels: Vec<u8>,
    pub(super) blur: Vec<u8>,
    /// RandAugment's copy of the pixels.
    pub(super) source: Vec<u8>,
    pub(super) cells: Vec<u32>,
    pub(super) patch: Vec<u8>,
}
