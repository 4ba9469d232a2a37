//! Generic addresses: global memory is at the bottom, each other space in its own window.

use crate::types::Space;
use crate::warp::{Longs, lanes};

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

/// The window that a generic address falls into, and its offset there.
fn place_of(at: u64) -> (Space, u64) {
    match at {
        SHARED_BASE.. if at < SHARED_BASE + WINDOW => (Space::Shared, at - SHARED_BASE),
        LOCAL_BASE.. if at < LOCAL_BASE + WINDOW => (Space::Local, at - LOCAL_BASE),
        PARAM_BASE.. if at < PARAM_BASE + WINDOW => (Space::Param, at - PARAM_BASE),
        _ => (Space::Global, at),
    }
}

/// Lanes of a generic access that mean the same space as the first lane, and their offsets.
pub fn same_space(at: &Longs, active: u32) -> (Space, u32, Longs) {
    let (space, _) = place_of(at[active.trailing_zeros() as usize & 31]);
    let (mut mask, mut row) = (0, *at);
    for lane in lanes(active) {
        let (its, offset) = place_of(at[lane]);
        if its == space {
            mask |= 1 << lane;
            row[lane] = offset;
        }
    }
    (space, mask, row)
}
