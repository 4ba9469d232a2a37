//! A tile in AVX-512's intrinsics: given loops, the compiler spills a tile of this size.

use std::arch::x86_64::{
    __m512, __mmask16, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use isa::LANES;

use super::walk::Walk;

/// Rows of a tile: with two panels 16 sums in flight, twice what hides the latency of two
/// multiply-adds per cycle.
pub const ROWS: usize = 8;

/// The first `rows` rows and `width` numbers of the tile with rows of X at `starts` and `PANELS`
/// panels.
#[target_feature(enable = "avx512f")]
pub fn tile<const PANELS: usize>(
    walk: &Walk,
    x: &[f32],
    starts: &[usize; ROWS],
    panels: &[f32],
    y: &mut [f32],
    (rows, width): (usize, usize),
) {
    let last_panel = (PANELS - 1) * walk.panel_step;
    assert!(last_panel + walk.panel_reach() <= panels.len(), "a panel reaches outside");
    assert!(PANELS == 1 || walk.y_panel >= LANES, "panels of Y overlap");
    let last_lanes = (rows - 1) * walk.y_row + (PANELS - 1) * walk.y_panel;
    assert!(last_lanes + width - (PANELS - 1) * LANES <= y.len(), "a row of Y reaches outside");
    for start in starts {
        assert!(start + walk.x_reach() <= x.len(), "a row of X reaches outside");
    }
    let masks: [__mmask16; PANELS] = std::array::from_fn(|panel| {
        let lanes = width.saturating_sub(panel * LANES).min(LANES);
        ((1u32 << lanes) - 1) as __mmask16
    });
    let mut sums: [[__m512; PANELS]; ROWS] = [[_mm512_setzero_ps(); PANELS]; ROWS];
    // SAFETY: rows of X and Y and the panels stay inside their slices: see the asserts. Masked lanes
    // are neither read nor written.
    unsafe {
        for (i, j) in walk.outer() {
            let x = x.as_ptr().add(i * walk.x[0] + j * walk.x[1]);
            let panels = panels.as_ptr().add(i * walk.panel[0] + j * walk.panel[1]);
            for k in 0..walk.inner[2] {
                let weights: [__m512; PANELS] = std::array::from_fn(|panel| {
                    _mm512_loadu_ps(panels.add(panel * walk.panel_step + k * walk.panel[2]))
                });
                let x = x.add(k * walk.x[2]);
                for (sums, start) in sums.iter_mut().zip(starts) {
                    let x = _mm512_set1_ps(*x.add(*start));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm512_fmadd_ps(x, weights, *sum);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            if row < rows {
                for (panel, sum) in sums.iter().enumerate() {
                    let y = y.as_mut_ptr().wrapping_add(row * walk.y_row + panel * walk.y_panel);
                    let sum = if walk.adds {
                        _mm512_add_ps(_mm512_maskz_loadu_ps(masks[panel], y), *sum)
                    } else {
                        *sum
                    };
                    // A masked store is slow on some processors.
                    if width == PANELS * LANES {
                        _mm512_storeu_ps(y, sum);
                    } else {
                        _mm512_mask_storeu_ps(y, masks[panel], sum);
                    }
                }
            }
        }
    }
}
