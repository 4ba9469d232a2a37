//! Barlow Twins (Zbontar et al., 2021): two views agree in every dimension, and no two dimensions
//! say the same.
//!
//! ```text
//! x, y = columns of z1, z2 with mean 0 and variance 1 over the batch
//! C    = x'y / B                                       [D,D]
//! L    = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2
//! ```
//!
//! It needs neither teacher nor predictor nor negatives: a collapsed batch has no variance to
//! correlate. C itself is never made, see [`moments`](crate::moments).

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::moments::{column_products, squared_products, squares, standardize};

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarlowTwins {
    /// Weight of the redundancy.
    pub lambda: f32,
    /// Added to the variances.
    pub eps: f32,
}

impl Default for BarlowTwins {
    fn default() -> BarlowTwins {
        BarlowTwins { lambda: 0.0051, eps: 1e-5 }
    }
}

impl BarlowTwins {
    /// The loss of the embeddings `[B,D]` of two views.
    ///
    /// # Errors
    /// Shapes that differ, or fewer than two rows.
    pub fn loss(&self, g: &mut Graph, z1: Value, z2: Value) -> Result<Value> {
        let batch = g.shape(z1).rows() as f32;
        let x = g.scope("view1", |g| standardize(g, z1, self.eps))?;
        let y = g.scope("view2", |g| standardize(g, z2, self.eps))?;

        let products = column_products(g, x, y)?;
        let diagonal = g.scale(products, 1.0 / batch);
        let minus_one = g.fill(g.shape(diagonal), -1.0);
        let short = g.add(diagonal, minus_one)?;
        let invariance = squares(g, short);

        let all = squared_products(g, x, y)?;
        let all = g.scale(all, 1.0 / (batch * batch));
        let own = squares(g, diagonal);
        let own = g.scale(own, -1.0);
        let redundancy = g.add(all, own)?;
        let redundancy = g.scale(redundancy, self.lambda);
        g.add(invariance, redundancy)
    }
}
