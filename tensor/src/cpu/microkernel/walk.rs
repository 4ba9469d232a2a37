//! What a product reads and writes.

/// Outputs in a panel of weights: one AVX-512 vector, two of AVX2.
pub const LANES: usize = 16;

/// The weights of a panel's outputs for one number of a row.
pub type Lanes = [f32; LANES];

/// How a product walks over rows of X, panels of weights and rows of Y.
///
/// A row of X is `runs` runs of `run` numbers. A panel holds, for each number of a run, the weights of
/// [`LANES`] outputs, anything beyond the last output.
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
    /// [`Lanes`] from a run to the next in a panel.
    pub panel_run: usize,
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
    /// The sums are added to Y instead of replacing it.
    pub adds: bool,
}

impl Walk {
    /// One more than the largest distance from a row's start to its numbers.
    pub fn reach(&self) -> usize {
        (self.runs - 1) * self.x_run + (self.run - 1) * self.x_step + 1
    }

    /// Likewise from a panel's start to its last weights, in [`Lanes`].
    pub fn panel_reach(&self) -> usize {
        (self.runs - 1) * self.panel_run + self.run
    }
}
