//! The product, tile by tile.

use isa::in_registers::Plain;
#[cfg(target_arch = "x86_64")]
use isa::in_registers::{Avx2, Avx512};
use isa::{Isa, LANES, prefetch};

use super::tile::tile;
use super::walk::Walk;

/// Y = X W: `starts` gives where each row of X starts, `panels` is W.
///
/// # Panics
/// If the processor lacks the instruction set, a row of X or Y reaches outside its slice, or panels
/// are missing.
pub fn multiply(
    isa: Isa,
    walk: &Walk,
    x: &[f32],
    starts: impl Iterator<Item = usize> + Clone,
    panels: &[f32],
    y: &mut [f32],
) {
    assert!(isa.is_available(), "this processor has no {isa:?}");
    match isa {
        Isa::Portable => tiles(walk, 1, starts, panels, y, |starts, panel, y, size| {
            tile::<Plain, 6, 1>(walk, x, starts, panel, y, size);
        }),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => tiles(walk, 1, starts, panels, y, |starts, panel, y, size| {
            // SAFETY: the assert above.
            unsafe { avx2(walk, x, starts, panel, y, size) };
        }),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => tiles(walk, 2, starts, panels, y, |starts, panels, y, size| {
            // SAFETY: as above.
            unsafe {
                if size.1 > LANES {
                    avx512::<2>(walk, x, starts, panels, y, size);
                } else {
                    avx512::<1>(walk, x, starts, panels, y, size);
                }
            }
        }),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => unreachable!("{isa:?} on another architecture"),
    }
}

/// Calls `tile(starts, panels, y, (rows, width))` for every tile of `ROWS` rows and `at_once`
/// panels.
fn tiles<const ROWS: usize>(
    walk: &Walk,
    at_once: usize,
    starts: impl Iterator<Item = usize> + Clone,
    panels: &[f32],
    y: &mut [f32],
    tile: impl Fn(&[usize; ROWS], &[f32], &mut [f32], (usize, usize)),
) {
    // Y comes from memory during a long product, which otherwise would wait for it at its end.
    let is_long = walk.inner.iter().product::<usize>() >= 64;
    for column in (0..walk.outputs).step_by(at_once * LANES) {
        let panels = &panels[column / LANES * walk.panel_step..];
        let width = (at_once * LANES).min(walk.outputs - column);
        let mut starts = starts.clone();
        let mut start = 0;
        for first in (0..walk.rows).step_by(ROWS) {
            // A tile that extends past the end computes the last row again.
            let tile_starts = std::array::from_fn(|_| {
                start = starts.next().unwrap_or(start);
                start
            });
            let rows = ROWS.min(walk.rows - first);
            let y = &mut y[first * walk.y_row + column / LANES * walk.y_panel..];
            if is_long {
                for row in 0..rows {
                    for panel in 0..width.div_ceil(LANES) {
                        prefetch(&y[row * walk.y_row + panel * walk.y_panel..][..1]);
                    }
                }
            }
            tile(&tile_starts, panels, y, (rows, width));
        }
    }
}

/// Sums in 12 of AVX2's 16 registers, which leaves two for weights and one for a number of X.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; 6],
    panel: &[f32],
    y: &mut [f32],
    size: (usize, usize),
) {
    tile::<Avx2, 6, 1>(walk, x, starts, panel, y, size);
}

/// Sums in 16 of AVX-512's 32 registers, twice what hides the latency of two multiply-adds per cycle.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
fn avx512<const PANELS: usize>(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; 8],
    panels: &[f32],
    y: &mut [f32],
    size: (usize, usize),
) {
    tile::<Avx512, 8, PANELS>(walk, x, starts, panels, y, size);
}
