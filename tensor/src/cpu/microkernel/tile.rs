//! A tile of the product, whose sums stay in registers.

use isa::{LANES, Vector};

use super::walk::Walk;

/// The first `rows` rows and `width` numbers of the tile with rows of X at `starts` and `PANELS`
/// panels.
#[inline(always)]
pub fn tile<V: Vector, const ROWS: usize, const PANELS: usize>(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panels: &[f32],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    let last_panel = (PANELS - 1) * walk.panel_step;
    assert!(last_panel + walk.panel_reach() <= panels.len(), "a panel reaches outside");
    let last_lanes = (rows - 1) * walk.y_row + (PANELS - 1) * walk.y_panel;
    assert!(last_lanes + width - (PANELS - 1) * LANES <= y.len(), "a row of Y reaches outside");
    for start in starts {
        assert!(start + walk.x_reach() <= x.len(), "a row of X reaches outside");
    }
    let mut sums = [[V::zero(); PANELS]; ROWS];
    for i in 0..walk.inner[0] {
        for j in 0..walk.inner[1] {
            let first_x = i * walk.x[0] + j * walk.x[1];
            let first_weight = i * walk.panel[0] + j * walk.panel[1];
            for k in 0..walk.inner[2] {
                let mut weights = [V::zero(); PANELS];
                for (panel, weights) in weights.iter_mut().enumerate() {
                    let at = panel * walk.panel_step + first_weight + k * walk.panel[2];
                    // SAFETY: the lanes end at most `panel_reach()` behind their panel's start, which the
                    // assert covers.
                    *weights = V::load(unsafe { &*panels.as_ptr().add(at).cast() });
                }
                for (sums, start) in sums.iter_mut().zip(starts) {
                    // SAFETY: at most `x_reach() - 1` behind the row's start, likewise.
                    let x = unsafe { *x.get_unchecked(start + first_x + k * walk.x[2]) };
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = weights.mul_add(x, *sum);
                    }
                }
            }
        }
    }
    if width < PANELS * LANES {
        let mut lanes = [[[0.0; LANES]; PANELS]; ROWS];
        for (lanes, sum) in lanes.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            sum.store(lanes);
        }
        return put_some(walk, &lanes[..rows], y, width);
    }
    for (row, sums) in sums.iter().enumerate() {
        if row < rows {
            for (panel, sum) in sums.iter().enumerate() {
                let at = row * walk.y_row + panel * walk.y_panel;
                // SAFETY: the lanes end where the last row's last panel does or before: see the assert.
                let y = unsafe { &mut *y.as_mut_ptr().add(at).cast() };
                let sum = if walk.adds { V::load(y) + *sum } else { *sum };
                sum.store(y);
            }
        }
    }
}

/// Rows of sums of which only `width` numbers are wanted. Not inlined, or the registers would be saved
/// for it.
#[inline(never)]
fn put_some<const PANELS: usize>(
    walk: &Walk,
    sums: &[[[f32; LANES]; PANELS]],
    y: &mut [f32],
    width: usize,
) {
    for (row, sums) in sums.iter().enumerate() {
        for (panel, sums) in sums.iter().enumerate() {
            let y = &mut y[row * walk.y_row + panel * walk.y_panel..];
            let lanes = (width - panel * LANES).min(LANES);
            for (y, sum) in y[..lanes].iter_mut().zip(sums) {
                *y = if walk.adds { *y + sum } else { *sum };
            }
        }
    }
}
