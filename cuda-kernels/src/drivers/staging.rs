//! Page-locked host memory for copies to a GPU.
//!
//! The GPU's copy engine reads only page-locked memory; for other memory the driver first copies to
//! a staging buffer and may block the host. Here a ring of buffers does that: a write fills the
//! next buffer and returns, and waits only if the GPU has not yet read that buffer's previous
//! contents (tracked by an event).

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice, result};

/// Bytes per buffer, and number of buffers.
const BYTES: usize = 1 << 20;
const BUFFERS: usize = 8;

/// The ring.
pub struct Staging {
    buffers: Vec<(PinnedHostSlice<u8>, CudaEvent)>,
    next: usize,
}

impl Staging {
    /// A ring of page-locked buffers.
    pub fn new(context: &Arc<CudaContext>) -> Result<Staging, DriverError> {
        let buffer = |_| {
            // SAFETY: the memory is uninitialised; `write` below lets the GPU read only what was
            // written before.
            let memory = unsafe { context.alloc_pinned::<u8>(BYTES) }?;
            Ok((memory, context.new_event(None)?))
        };
        Ok(Staging { buffers: (0..BUFFERS).map(buffer).collect::<Result<_, _>>()?, next: 0 })
    }

    /// Copies `data` to the address `at`, which has room for it, in stream order.
    pub fn write(
        &mut self,
        stream: &Arc<CudaStream>,
        at: u64,
        data: &[u8],
    ) -> Result<(), DriverError> {
        stream.context().bind_to_thread()?;
        for (index, part) in data.chunks(BYTES).enumerate() {
            let (memory, free) = &mut self.buffers[self.next];
            self.next = (self.next + 1) % BUFFERS;
            free.synchronize()?;
            let buffer = &mut memory.as_mut_slice()?[..part.len()];
            buffer.copy_from_slice(part);
            // SAFETY: the caller has checked the destination. The buffer lives as long as `self`,
            // which synchronises before it is dropped, and is not rewritten before `free` has
            // passed.
            unsafe {
                let to = at + (index * BYTES) as u64;
                result::memcpy_htod_async(to, buffer, stream.cu_stream())?;
            }
            free.record(stream)?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for (_, free) in &self.buffers {
            // A failed GPU no longer reads anything.
            let _ = free.synchronize();
        }
    }
}
