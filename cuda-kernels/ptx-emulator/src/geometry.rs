//! The shape of a launch: which thread and which block is where.

/// The shape of a launch.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

impl Geometry {
    /// Threads of a block.
    pub fn threads(&self) -> usize {
        self.block.iter().map(|&side| side as usize).product()
    }

    /// `%tid` of a thread by its number in the block.
    pub fn tid(&self, thread: usize) -> [u32; 3] {
        let [x, y, _] = self.block.map(|side| side as usize);
        [thread % x, thread / x % y, thread / (x * y)].map(|at| at as u32)
    }

    /// `%ctaid` of a block by its number in the grid.
    pub fn ctaid(&self, block: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [block % x, block / x % y, block / (x * y)].map(|at| at as u32)
    }
}
