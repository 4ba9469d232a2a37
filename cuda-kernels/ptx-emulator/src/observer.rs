//! Watching a launch instruction by instruction.

use super::warp::Warp;

/// An instruction that a warp is about to run, and what it finds.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: usize,
    /// Index of the instruction in the kernel.
    pub pc: usize,
    /// Lanes that run it.
    pub active: u32,
    /// The warp's registers and lanes.
    pub state: &'a Warp,
    /// The block's shared memory.
    pub shared: &'a [u8],
}

/// Called before each instruction of a traced launch.
pub type Observer<'a> = &'a mut dyn FnMut(Seen<'_>);
