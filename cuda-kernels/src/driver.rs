//! What the backend needs of a device: memory, launches, an order in which they happen.
//!
//! All calls of one driver happen in the order in which they are made (one CUDA stream). `write`
//! and `launch` may return before the device is done; `read` and `synchronize` wait.

use tensor::Result;

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// An address in the device's memory.
    Pointer(u64),
    /// `unsigned`.
    U32(u32),
    /// `unsigned long long`.
    U64(u64),
    /// `float`.
    F32(f32),
    /// A number of elements: `unsigned`, and a fault of the launch if it needs more than 32 bits.
    Count(usize),
}

/// A kernel with its geometry and arguments.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The file of the kernel, without `.cu`: see [`modules`](crate::modules).
    pub module: &'static str,
    /// Its name in that file.
    pub kernel: &'static str,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of `extern __shared__` memory.
    pub shared_bytes: u32,
    /// Arguments, in order; their sizes must be those of the kernel's parameters.
    pub args: &'a [Arg],
}

/// A recorded sequence of launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph(pub usize);

/// A device that runs kernels.
///
/// Every error is one line that says what was asked (kernel, bytes) and what the device answered.
pub trait Driver: Send {
    /// The device, in words: `NVIDIA H100 (cuda:0)`.
    fn name(&self) -> String;
    /// Memory of `bytes` bytes, all 0, at a multiple of 256. It lives as long as the driver.
    fn allocate(&mut self, bytes: usize) -> Result<u64>;
    /// Copies host memory to the device.
    fn write(&mut self, at: u64, data: &[u8]) -> Result<()>;
    /// Copies device memory to the host, after everything asked for before.
    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()>;
    /// Runs a kernel after everything asked for before.
    fn launch(&mut self, launch: &Launch) -> Result<()>;
    /// Waits until the device is idle and reports what went wrong on it.
    fn synchronize(&mut self) -> Result<()>;

    /// Starts to record launches instead of running them; false if the driver cannot.
    fn capture(&mut self) -> Result<bool> {
        Ok(false)
    }
    /// Ends what [`Driver::capture`] began.
    fn end_capture(&mut self) -> Result<Graph> {
        unreachable!("nothing is being recorded")
    }
    /// Runs what was recorded, after everything asked for before.
    fn replay(&mut self, graph: Graph) -> Result<()> {
        unreachable!("{graph:?} was never recorded")
    }
}
