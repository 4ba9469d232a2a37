//! What a product reads and writes.

use isa::LANES;

/// How a product walks over rows of X, panels of weights and rows of Y, in elements.
///
/// The numbers of a row of X are a three-dimensional array, such as rows, columns and channels of a
/// window. A panel holds, for each of them, the weights of [`LANES`] outputs side by side, anything
/// beyond the last output.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Numbers of a row of X along each axis.
    pub inner: [usize; 3],
    /// From one to the next in X.
    pub x: [usize; 3],
    /// From the weights of one to those of the next in a panel.
    pub panel: [usize; 3],
    /// From a panel to the next.
    pub panel_step: usize,
    /// From a row of Y to the next.
    pub y_row: usize,
    /// From [`LANES`] numbers of a row of Y to the next.
    pub y_panel: usize,
    /// Rows of Y.
    pub rows: usize,
    /// Numbers in a row of Y.
    pub outputs: usize,
    /// The sums are added to Y instead of replacing it.
    pub adds: bool,
}

impl Walk {
    /// One more than the largest distance from a row's start to its numbers.
    pub fn x_reach(&self) -> usize {
        reach(self.inner, self.x) + 1
    }

    /// The same from a panel's start to its weights.
    pub fn panel_reach(&self) -> usize {
        reach(self.inner, self.panel) + LANES
    }
}

fn reach(sizes: [usize; 3], steps: [usize; 3]) -> usize {
    sizes.iter().zip(steps).map(|(size, step)| size.saturating_sub(1) * step).sum()
}
