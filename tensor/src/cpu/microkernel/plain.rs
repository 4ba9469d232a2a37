//! A tile in plain loops, compiled for what the program is compiled for and for AVX2 with FMA.

use isa::LANES;

use super::walk::Walk;

/// Rows of a tile. 6 x 16 sums fill 12 of AVX2's 16 vector registers, leaving two for weights and
/// one for a number of X.
pub const ROWS: usize = 6;

/// The tile with the instructions that the program is compiled for.
pub fn portable(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panel: &[f32],
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
    panel: &[f32],
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
    panel: &[f32],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    let mut sums = [[0.0; LANES]; ROWS];
    for start in starts {
        assert!(start + walk.x_reach() <= x.len(), "a row of X reaches outside");
    }
    for (i, j) in walk.outer() {
        let first = starts.map(|start| start + i * walk.x[0] + j * walk.x[1]);
        let panel = &panel[i * walk.panel[0] + j * walk.panel[1]..];
        for k in 0..walk.inner[2] {
            let weights: &[f32; LANES] = panel[k * walk.panel[2]..].first_chunk().expect("a panel");
            for (sums, first) in sums.iter_mut().zip(first) {
                // SAFETY: at most `x_reach() - 1` behind the row's start, which the assert covers.
                let x = unsafe { *x.get_unchecked(first + k * walk.x[2]) };
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
