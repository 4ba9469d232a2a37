//! A tile in plain loops, compiled for what the program is compiled for and for AVX2 with FMA.

use super::walk::{LANES, Lanes, Walk};

/// Rows of a tile. 6 x 16 sums fill 12 of AVX2's 16 vector registers, leaving two for weights and
/// one for a number of X.
pub const ROWS: usize = 6;

/// The tile with the instructions that the program is compiled for.
pub fn portable(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panel: &[Lanes],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    tile(walk, x, starts, panel, y, (rows, width));
}

/// The tile with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub fn avx2(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panel: &[Lanes],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    tile(walk, x, starts, panel, y, (rows, width));
}

/// The first `rows` rows and `width` numbers of the tile with rows of X at `starts`.
#[inline(always)]
fn tile(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panel: &[Lanes],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    let mut sums = [[0.0; LANES]; ROWS];
    for start in starts {
        assert!(start + walk.reach() <= x.len(), "a row of X reaches outside");
    }
    for r in 0..walk.runs {
        let first = starts.map(|start| start + r * walk.x_run);
        let weights = &panel[r * walk.panel_run..][..walk.run];
        for (k, weights) in weights.iter().enumerate() {
            for (sums, first) in sums.iter_mut().zip(first) {
                // SAFETY: at most `reach() - 1` behind the row's start, which the assert covers.
                let x = unsafe { *x.get_unchecked(first + k * walk.x_step) };
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = x.mul_add(*weight, *sum);
                }
            }
        }
    }
    for (sums, y) in sums.iter().take(rows).zip(y.chunks_mut(walk.y_row)) {
        let y = &mut y[..width];
        if walk.adds {
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
        } else {
            y.copy_from_slice(&sums[..width]);
        }
    }
}
