//! Generic addresses: global memory is at the bottom, each other space in its own window.

use crate::types::Space;

/// Where generic addresses of shared memory begin.
pub const SHARED_BASE: u64 = 0x7000_0000_0000;
/// Where generic addresses of local memory begin.
pub const LOCAL_BASE: u64 = 0x7100_0000_0000;
/// Where generic addresses of kernel parameters begin.
pub const PARAM_BASE: u64 = 0x7200_0000_0000;
/// Size of a window.
pub const WINDOW: u64 = 0x0100_0000_0000;

/// Where the window of a space begins.
pub fn base_of(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED_BASE,
        Space::Local => LOCAL_BASE,
        Space::Param => PARAM_BASE,
        _ => 0,
    }
}
