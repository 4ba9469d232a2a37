//! VICReg (Bardes, Ponce and LeCun, 2022): two views agree, every dimension varies, and no two
//! vary together.
//!
//! ```text
//! s_j(x) = sqrt(Var_j(x) + 1e-4)                               Var and Cov unbiased
//! L = 25 mean (x - y)^2
//!   + 25 [mean_j max(0, 1 - s_j(x)) / 2         + the same of y]
//!   +  1 [sum_{i != j} Cov(x)_ij^2 / D          + the same of y]
//! ```
//!
//! Rows are not normalised. The variance term forbids collapse, for each view by itself. Cov is
//! never made, see [`moments`](crate::moments).

use autograd::{Error, Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::moments::{centre, column_lengths, column_products, squared_products, squares};

/// Added to the variances.
const EPS: f32 = 1e-4;

/// The weights of the three terms, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VicReg {
    /// Weight of the distance of the views.
    pub invariance: f32,
    /// Weight of the hinge on the standard deviations.
    pub variance: f32,
    /// Weight of the covariances.
    pub covariance: f32,
}

impl Default for VicReg {
    fn default() -> VicReg {
        VicReg { invariance: 25.0, variance: 25.0, covariance: 1.0 }
    }
}

impl VicReg {
    /// The loss of the embeddings `[B,D]` of two views.
    ///
    /// # Errors
    /// Shapes that differ, or fewer than two rows.
    pub fn loss(&self, g: &mut Graph, x: Value, y: Value) -> Result<Value> {
        let rows = g.shape(x).rows();
        if rows < 2 {
            let detail = format!("a batch of {rows} has no variance; needs at least 2 images");
            return Err(Error::setting("vicreg", detail));
        }
        let minus_y = g.scale(y, -1.0);
        let difference = g.add(x, minus_y)?;
        let distance = squares(g, difference);
        let mut loss = g.scale(distance, self.invariance / g.shape(x).elements() as f32);
        for view in [x, y] {
            let centred = centre(g, view)?;
            let hinge = spread(g, centred)?;
            let hinge = g.scale(hinge, self.variance);
            let covariance = covariance(g, centred)?;
            let covariance = g.scale(covariance, self.covariance);
            loss = g.add(loss, hinge)?;
            loss = g.add(loss, covariance)?;
        }
        Ok(loss)
    }
}

/// `mean_j max(0, 1 - s_j) / 2` of centred embeddings.
fn spread(g: &mut Graph, x: Value) -> Result<Value> {
    let shape = g.shape(x);
    let degrees = (shape.rows() - 1) as f32;
    // sqrt(|x_j|^2 / (B - 1) + eps) is the length of column j with one more element.
    let floor = g.fill([1, shape.columns()], (EPS * degrees).sqrt());
    let columns = g.concat_rows(&[x, floor])?;
    let lengths = column_lengths(g, columns)?;
    let minus_deviations = g.scale(lengths, -1.0 / degrees.sqrt());
    let one = g.fill(g.shape(lengths), 1.0);
    let missing = g.add(one, minus_deviations)?;
    let missing = g.relu(missing);
    let mean = g.mean(missing);
    Ok(g.scale(mean, 0.5))
}

/// `sum_{i != j} Cov_ij^2 / D` of centred embeddings.
fn covariance(g: &mut Graph, x: Value) -> Result<Value> {
    let shape = g.shape(x);
    let degrees = (shape.rows() - 1) as f32;
    let all = squared_products(g, x, x)?;
    let variances = column_products(g, x, x)?;
    let own = squares(g, variances);
    let own = g.scale(own, -1.0);
    let others = g.add(all, own)?;
    Ok(g.scale(others, 1.0 / (degrees * degrees * shape.columns() as f32)))
}
