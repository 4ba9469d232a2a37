//! What the backend needs from a device: memory and ordered launches.
//!
//! All calls of one driver but `write_ahead` take effect in call order (one CUDA stream). `write` and
//! `launch` may return before the device is done; `read` and `synchronize` wait.

use tensor::Result;

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// An address in the device's memory.
    Pointer(u64),
    /// `unsigned`.
    U32(u32),
    /// `float`.
    F32(f32),
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
    /// Arguments, in order; their sizes must match the kernel's parameters.
    pub args: &'a [Arg],
}

/// A recorded sequence of launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph(pub usize);

/// A device that runs kernels.
///
/// Every error is one line with the request (kernel, bytes) and the device's answer.
pub trait Driver: Send {
    /// The device, in words: `NVIDIA H100 (cuda:0)`.
    fn name(&self) -> String;
    /// Memory of `bytes` bytes, zeroed, aligned to 256. It lives as long as the driver.
    fn allocate(&mut self, bytes: usize) -> Result<u64>;
    /// Copies host memory to the device.
    fn write(&mut self, at: u64, data: &[u8]) -> Result<()>;
    /// From now on `write_ahead` copies after all requests up to this one.
    fn begin_ahead(&mut self) -> Result<()> {
        Ok(())
    }
    /// Copies host memory to the device beside later requests, which leave that memory alone until
    /// `end_ahead`.
    fn write_ahead(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.write(at, data)
    }
    /// Requests from now on find what was written ahead.
    fn end_ahead(&mut self) -> Result<()> {
        Ok(())
    }
    /// Copies device memory to the host, after all earlier requests.
    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()>;
    /// Runs a kernel after all earlier requests.
    fn launch(&mut self, launch: &Launch) -> Result<()>;
    /// Waits until the device is idle and reports any fault.
    fn synchronize(&mut self) -> Result<()>;

    /// Starts recording launches instead of running them; false if unsupported.
    fn capture(&mut self) -> Result<bool> {
        Ok(false)
    }
    /// Ends the recording started by [`Driver::capture`].
    fn end_capture(&mut self) -> Result<Graph> {
        unreachable!("nothing is being recorded")
    }
    /// Runs a recording, after all earlier requests.
    fn replay(&mut self, graph: Graph) -> Result<()> {
        unreachable!("{graph:?} was never recorded")
    }

    /// Whether it can exchange memory with other processes' devices.
    fn can_link(&self) -> bool {
        false
    }
    /// Joins the others: see [`tensor::Backend::link`].
    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let _ = (rank, ranks, share);
        unreachable!("a device that cannot be linked")
    }
    /// Sends memory (address and bytes) to a linked device, and fills other memory of the same
    /// allocation with what that one sends, after all earlier requests.
    fn exchange(&mut self, with: usize, mine: (u64, usize), theirs: (u64, usize)) -> Result<()> {
        unreachable!("{mine:?} and {theirs:?} with {with}: not linked")
    }
}
