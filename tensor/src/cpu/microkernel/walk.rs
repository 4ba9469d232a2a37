//! What a product reads and writes.

/// Outputs in a panel of weights: one AVX-512 vector, two of AVX2.
pub const LANES: usize = 16;

/// The weights of a panel's outputs for one number of a row.
pub type Lanes = [f32; LANES];

/// How a product walks over rows of X, panels of weights and rows of Y.
///
/// A row of X is `runs` runs of `run` numbers. A panel holds, for each number of a row, the weights
/// of [`LANES`] outputs, anything beyond the last output.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Runs in a row of X.
    pub runs: usize,
    /// Numbers in a run.
    pub run: usize,
    /// Elements from a run to the next.
    pub x_run: usize,
    /// Elements from a number to the next.
    pub x_step: usize,
    /// [`Lanes`] from a panel to the next.
    pub panel_step: usize,
    /// Elements from a row of Y to the next.
    pub y_row: usize,
    /// Elements from [`LANES`] numbers of a row of Y to the next.
    pub y_panel: usize,
    /// Rows of Y.
    pub rows: usize,
    /// Numbers in a row of Y.
    pub outputs: usize,
    /// Y holds sums already, and the chains go on from them.
    pub adds: bool,
}

impl Walk {
    /// Numbers in a row of X: the length of a panel.
    pub fn inner(&self) -> usize {
        self.runs * self.run
    }

    /// One more than the largest distance from a row's start to its numbers.
    pub fn reach(&self) -> usize {
        (self.runs - 1) * self.x_run + (self.run - 1) * self.x_step + 1
    }
}
