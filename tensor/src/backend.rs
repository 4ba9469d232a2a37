//! The device interface: scratch memory sizes, an arena, and kernels that run in it.

use crate::geometry::Conv2d;
use crate::kernel::{Io, Kernel};
use crate::order::group_sums;
use crate::{Result, Shape, Slot};

/// Operands of a kernel, by their places, that may be bf16 in memory if all of them are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// Among the inputs. Those beyond the last belong to no operand.
    pub inputs: &'static [usize],
    /// Among the outputs.
    pub outputs: &'static [usize],
}

/// A device that runs kernels.
pub trait Device: Send + Sync {
    /// Elements of scratch memory that `kernel` needs here; depends only on the kernel.
    fn workspace(&self, kernel: &Kernel) -> usize;

    /// What of `kernel`'s operands may be bf16 in memory here, with rows that are multiples of 8 numbers
    /// long; the others, and all others together, are `f32`.
    fn halves(&self, kernel: &Kernel) -> &'static [Halves] {
        let _ = kernel;
        &[]
    }

    /// Batch norm's sums `[groups,2,O]` that [`Kernel::Conv2dSums`] takes here: of its own groups, unless
    /// the device's convolutions sum in an order of theirs.
    fn sums(&self, conv: Conv2d) -> Shape {
        group_sums(conv.rows(), conv.o)
    }

    /// Whether inputs have memory of their own to be written ahead into ([`Backend::write_ahead`]), since
    /// the device copies host data beside its kernels, or plans as one that does.
    fn copies_beside(&self) -> bool {
        false
    }

    /// The sums `[groups,2,C]` of batch norm's gradient that [`Kernel::Conv2dGradInputSums`] takes here,
    /// likewise.
    fn gradient_sums(&self, conv: Conv2d) -> Shape {
        group_sums(conv.input_rows(), conv.c)
    }

    /// An arena of `elements` elements, all zero, with the kernels that run in it.
    ///
    /// # Errors
    /// A device that is missing or out of memory.
    fn open(&self, elements: usize) -> Result<Box<dyn Backend>>;
}

/// A device's one arena and its kernels.
///
/// Kernels take [`Slot`]s, never host memory; only `write` and `read` transfer data.
pub trait Backend: Send {
    /// Copies host data into the device.
    fn write(&mut self, to: Slot, data: &[f32]);
    /// Copies host indices into the device.
    fn write_u32(&mut self, to: Slot, data: &[u32]);
    /// Copies device data to the host.
    fn read(&mut self, from: Slot, data: &mut [f32]);

    /// From now on [`Backend::write_ahead`] writes after all calls up to this one.
    fn begin_ahead(&mut self) {}
    /// Copies host data into the device beside later calls. These leave the slot alone until
    /// [`Backend::end_ahead`].
    fn write_ahead(&mut self, to: Slot, data: &[f32]) {
        self.write(to, data);
    }
    /// Later calls find what was written ahead.
    fn end_ahead(&mut self) {}

    /// Runs a kernel, or queues it on the device.
    fn run(&mut self, kernel: &Kernel, io: &Io);
    /// True if no element is infinite or NaN.
    fn all_finite(&mut self, x: Slot) -> bool;

    /// Reports a device fault detected so far. After one, kernels do nothing.
    ///
    /// # Errors
    /// The first fault. A GPU reports late: the message may name a later kernel than the one at
    /// fault.
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
    /// Begins a sequence of calls that is the same for equal `id`: same kernels, same slots.
    /// Returns true if the device has replayed an earlier recording: then skip the calls,
    /// `end_sequence` included.
    fn begin_sequence(&mut self, id: usize) -> bool {
        let _ = id;
        false
    }
    /// Ends the sequence.
    fn end_sequence(&mut self) {}

    /// Whether it can exchange numbers with other processes' devices by itself.
    fn can_link(&self) -> bool {
        false
    }
    /// Joins the devices of `ranks` processes, all of which call it; this is the one of `rank`.
    /// `share` fills everyone's bytes with the first rank's.
    ///
    /// # Errors
    /// Devices that do not find each other.
    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let _ = (rank, ranks, share);
        unreachable!("a device that cannot be linked")
    }
    /// Sends `mine` to the linked device of the rank `with`, and fills `theirs` with what that one
    /// sends, after all earlier calls. The slots do not overlap.
    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) {
        unreachable!("{mine:?} and {theirs:?} with {with}: not linked")
    }
}

/// The methods of a [`Backend`] that move data, for one around another: those of its field.
#[macro_export]
macro_rules! moves_data_by {
    ($inner:ident) => {
        fn write(&mut self, to: $crate::Slot, data: &[f32]) {
            self.$inner.write(to, data);
        }

        fn write_u32(&mut self, to: $crate::Slot, data: &[u32]) {
            self.$inner.write_u32(to, data);
        }

        fn read(&mut self, from: $crate::Slot, data: &mut [f32]) {
            self.$inner.read(from, data);
        }
    };
}
