//! Page-locked host memory for copies to a GPU.
//!
//! The GPU's copy engine reads only page-locked memory; for other memory the driver first copies to
//! a staging buffer and may block the host. Here a ring of buffers does that: a write fills the next
//! buffer and returns. If the GPU has not yet read that buffer's previous contents (tracked by an
//! event), the ring grows, so that a step's views never wait for the step before; at most [`MOST`]
//! buffers, then a write waits. Copies of two streams share the ring: it grows, too, where the one that was filled
//! first is read later.

use std::collections::VecDeque;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice, result};

/// Bytes of a buffer.
const BYTES: usize = 1 << 20;
/// Most buffers: 256 MiB.
const MOST: usize = 256;

/// The ring, with the buffer that was used longest ago in front.
pub struct Staging {
    context: Arc<CudaContext>,
    buffers: VecDeque<(PinnedHostSlice<u8>, CudaEvent)>,
}

impl Staging {
    /// A ring without buffers.
    pub fn new(context: &Arc<CudaContext>) -> Staging {
        Staging { context: Arc::clone(context), buffers: VecDeque::new() }
    }

    /// A buffer that the GPU no longer reads, and its event.
    fn free(&mut self) -> Result<(PinnedHostSlice<u8>, CudaEvent), DriverError> {
        let is_full = self.buffers.len() >= MOST;
        let is_free = |(_, read): &(_, CudaEvent)| is_full || read.is_complete();
        if self.buffers.front().is_some_and(is_free)
            && let Some((memory, read)) = self.buffers.pop_front()
        {
            read.synchronize()?;
            return Ok((memory, read));
        }
        // SAFETY: the memory is uninitialised; `write` lets the GPU read only what was written before.
        let memory = unsafe { self.context.alloc_pinned::<u8>(BYTES) }?;
        Ok((memory, self.context.new_event(None)?))
    }

    /// Copies `data` to the address `at`, which has room for it, in stream order.
    ///
    /// # Errors
    /// The driver's, and too little memory to lock.
    pub fn write(
        &mut self,
        stream: &Arc<CudaStream>,
        at: u64,
        data: &[u8],
    ) -> Result<(), DriverError> {
        stream.context().bind_to_thread()?;
        for (index, part) in data.chunks(BYTES).enumerate() {
            let (mut memory, read) = self.free()?;
            let buffer = &mut memory.as_mut_slice()?[..part.len()];
            buffer.copy_from_slice(part);
            // SAFETY: the caller has checked the destination. The buffer lives as long as `self`,
            // which synchronises before it is dropped, and is not rewritten before `read` has
            // passed.
            unsafe {
                let to = at + (index * BYTES) as u64;
                result::memcpy_htod_async(to, buffer, stream.cu_stream())?;
            }
            read.record(stream)?;
            self.buffers.push_back((memory, read));
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for (_, read) in &self.buffers {
            // A failed GPU no longer reads anything.
            let _ = read.synchronize();
        }
    }
}
