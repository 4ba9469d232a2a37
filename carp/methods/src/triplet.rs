//! Triplet (Wang et al., 2021): closer to one's own image than to the hardest others.
//!
//! ```text
//! p = l2(prediction), t = l2(target);  d_ij = -2 <p_i, t_j>
//! d+_i = d_ii;  d-_i = mean of the 2nd to 10th smallest d_ij, j != i
//! l    = mean_i max(0, 100 + 2 d+_i - d-_i);   L = l(p1, t1) + l(p2, t2), t1 of view 2 and t2 of view 1
//! ```
//!
//! The hardest negative is left out: it may be of the same class. Distances are within [-2, 2], so
//! the margin of 100 never closes and the loss is linear in the cosines. The negatives forbid
//! collapse.

use autograd::{Error, Graph, Result, Value};

use crate::unit::{row_products, unit};

/// Negatives ranked: the first is left out.
const HARDEST: usize = 10;
/// Above any loss of cosines.
const MARGIN: f32 = 100.0;

/// The method; it has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triplet;

impl Triplet {
    /// The loss of predictions and targets `[B,D]`, one pair from each view to the other; targets
    /// are constants.
    ///
    /// # Errors
    /// Shapes that do not fit, or fewer than 11 rows.
    pub fn loss(&self, g: &mut Graph, p: [Value; 2], t: [Value; 2]) -> Result<Value> {
        let first = one_way(g, p[0], t[0])?;
        let second = one_way(g, p[1], t[1])?;
        g.add(first, second)
    }
}

fn one_way(g: &mut Graph, p: Value, t: Value) -> Result<Value> {
    let batch = g.shape(p).rows();
    if batch <= HARDEST {
        let detail = format!(
            "a batch of {batch} images has {} negatives each; needs at least {} images",
            batch.saturating_sub(1),
            HARDEST + 1
        );
        return Err(Error::setting("triplet", detail));
    }
    let [p, t] = [unit(g, p), unit(g, t)];
    let own = row_products(g, p, t)?;
    // Column i holds the cosines of p_i; its own image is put below all others.
    let cosines = g.matmul(t, false, p, true)?;
    let own_place = |place: usize| if place.is_multiple_of(batch + 1) { -4.0 } else { 0.0 };
    let own_places: Vec<f32> = (0..batch * batch).map(own_place).collect();
    let own_places = g.constant("own_places", [batch, batch], &own_places);
    let others = g.add(cosines, own_places)?;
    let hardest = g.largest(others, HARDEST)?;
    let mut hard = hardest[1];
    for &next in &hardest[2..] {
        hard = g.add(hard, next)?;
    }
    let margin = g.fill([batch], MARGIN);
    let near = g.scale(own, -4.0);
    let far = g.scale(hard, 2.0 / (HARDEST - 1) as f32);
    let violation = g.add(margin, near)?;
    let violation = g.add(violation, far)?;
    let violation = g.relu(violation);
    Ok(g.mean(violation))
}
