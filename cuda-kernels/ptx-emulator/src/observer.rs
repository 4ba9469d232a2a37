//! Watching a launch instruction by instruction.

/// An instruction that a warp is about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Number of the block in the grid.
    pub block: u32,
    /// Number of the warp in the block.
    pub warp: usize,
    /// Index of the instruction in the kernel.
    pub pc: usize,
    /// Lanes that run it.
    pub active: u32,
}

/// Called before each instruction of a traced launch.
pub type Observer<'a> = &'a mut dyn FnMut(Seen);
