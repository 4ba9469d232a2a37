//! Copies into the lanes of a panel.

use isa::{LANES, Vector};

/// Copies the first `count` numbers of x to as many lanes; the others stay.
#[inline(always)]
pub fn copy_lanes(x: &[f32], count: usize, lanes: &mut [f32; LANES]) {
    match x.first_chunk() {
        // A copy of known length is one instruction, not a call.
        Some(x) if count == LANES => *lanes = *x,
        _ => lanes[..count].copy_from_slice(&x[..count]),
    }
}

/// `lanes[i][j] = x[j * step + i]` for the first `count` j; the others stay.
#[inline(always)]
pub fn transpose_lanes<V: Vector>(
    x: &[f32],
    step: usize,
    count: usize,
    lanes: &mut [[f32; LANES]],
) {
    let whole = if count == LANES { lanes.len() / LANES * LANES } else { 0 };
    let (squares, rest) = lanes.split_at_mut(whole);
    for (square, first) in squares.as_chunks_mut().0.iter_mut().zip((0..).step_by(LANES)) {
        V::transpose(&x[first..], step, square);
    }
    for j in 0..count {
        rest.iter_mut().zip(&x[j * step + whole..]).for_each(|(lanes, x)| lanes[j] = *x);
    }
}
