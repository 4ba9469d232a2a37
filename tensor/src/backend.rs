//! What a device is: sizes of scratch memory, an arena, and kernels that run in it.

use crate::kernel::{Io, Kernel};
use crate::{Result, Slot};

/// A place where kernels can run.
pub trait Device: Send + Sync {
    /// Elements of scratch memory that `kernel` needs here. Depends on the kernel alone.
    fn workspace(&self, kernel: &Kernel) -> usize;

    /// An arena of so many elements, all zero, with the kernels that run in it.
    ///
    /// # Errors
    /// A device that is missing or has too little memory.
    fn open(&self, elements: usize) -> Result<Box<dyn Backend>>;
}

/// A device's one arena and its kernels.
///
/// Kernels take [`Slot`]s, never host memory; only `write` and `read` cross the border.
pub trait Backend: Send {
    /// Copies host data into the device.
    fn write(&mut self, to: Slot, data: &[f32]);
    /// Copies host indices into the device.
    fn write_u32(&mut self, to: Slot, data: &[u32]);
    /// Copies device data to the host.
    fn read(&mut self, from: Slot, data: &mut [f32]);

    /// Runs a kernel, or puts it behind those that the device is still at work on.
    fn run(&mut self, kernel: &Kernel, io: &Io);
    /// True if no element is infinite or NaN.
    fn all_finite(&mut self, x: Slot) -> bool;

    /// Reports a fault of the device that has shown by now. After one, kernels do nothing.
    ///
    /// # Errors
    /// The first fault. A card reports one late: the line may name a kernel that came after the one
    /// at fault.
    fn check(&mut self) -> Result<()> {
        Ok(())
    }
    /// Waits until the device is idle, then as `check`.
    ///
    /// # Errors
    /// As `check`.
    fn finish(&mut self) -> Result<()> {
        self.check()
    }
    /// Begins a sequence of calls that is the same whenever `id` is: same kernels, same slots. True
    /// if the device has run it from its memory of an earlier time: then the calls are left out,
    /// `end_sequence` too.
    fn begin_sequence(&mut self, id: usize) -> bool {
        let _ = id;
        false
    }
    /// Ends the sequence.
    fn end_sequence(&mut self) {}
}
