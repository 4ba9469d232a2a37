//! A copy into the lanes of a panel.

use isa::LANES;

/// Copies the first `count` numbers of x to as many lanes; the others stay.
#[inline(always)]
pub fn copy_lanes(x: &[f32], count: usize, lanes: &mut [f32; LANES]) {
    match x.first_chunk() {
        // A copy of known length is one instruction, not a call.
        Some(x) if count == LANES => *lanes = *x,
        _ => lanes[..count].copy_from_slice(&x[..count]),
    }
}
