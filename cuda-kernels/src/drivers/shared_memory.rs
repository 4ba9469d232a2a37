//! Shared memory of a launch: what every kernel gets, and what must be asked for.

use tensor::{Error, Result};

use crate::driver::Launch;

/// Shared memory that a thread block gets without asking, static and dynamic together, in bytes.
pub const WITHOUT_ASKING: u32 = 48 << 10;

/// Must the kernel's limit of dynamic shared memory be raised to the launch's before it can start?
///
/// `fixed`: bytes of static shared memory, which the kernel declares itself; they count, too.
/// `most`: bytes that a thread block can have on this device if it asks.
///
/// # Errors
/// The launch needs more than that.
pub fn must_ask(launch: &Launch, fixed: u32, most: u32) -> Result<bool> {
    let (kernel, dynamic) = (launch.kernel, launch.shared_bytes);
    match fixed.checked_add(dynamic) {
        Some(bytes) if bytes <= most.max(WITHOUT_ASKING) => Ok(bytes > WITHOUT_ASKING),
        _ => Err(Error::device(format!(
            "kernel {kernel}: {fixed} + {dynamic} bytes of shared memory (static + dynamic); a \
             thread block has at most {most} on this device"
        ))),
    }
}
