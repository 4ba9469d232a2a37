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
    for (row, sums) in sums.iter().enumerate() {
        if row < rows {
            for (panel, sum) in sums.iter().enumerate() {
                let lanes = (width - panel * LANES).min(LANES);
                let at = row * walk.y_row + panel * walk.y_panel;
                let y = &mut y[at..at + lanes];
                let sum = if walk.adds { V::load_some(y) + *sum } else { *sum };
                sum.store_some(y);
            }
        }
    }
}
