//! MoCo v3 (Chen, Xie and He, 2021): each view's query finds the other view's key among those of
//! the batch.
//!
//! ```text
//! q = l2(predictor(projector(f))),  k = l2(teacher's projector)
//! L = l(q1, k2) + l(q2, k1),        l(q, K) = 2 T mean_i CE(i, q_i K' / T)
//! ```
//!
//! The factor T makes the gradient's size independent of it. The other images' keys, which a
//! query has to avoid, forbid collapse. The teacher moves between the queries' forward passes and the keys'.

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::info_nce::info_nce_in_batch;
use crate::unit::unit;

/// The settings, by default the authors' for a ResNet-50.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MocoV3 {
    /// T.
    pub temperature: f32,
}

impl Default for MocoV3 {
    fn default() -> MocoV3 {
        MocoV3 { temperature: 1.0 }
    }
}

impl MocoV3 {
    /// The loss of the two views' queries and keys, `[B,D]` each; keys are constants.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss(&self, g: &mut Graph, q: [Value; 2], k: [Value; 2]) -> Result<Value> {
        let [q1, q2] = q.map(|q| unit(g, q));
        let [k1, k2] = k.map(|k| unit(g, k));
        let first = info_nce_in_batch(g, q1, k2, self.temperature)?;
        let second = info_nce_in_batch(g, q2, k1, self.temperature)?;
        let sum = g.add(first, second)?;
        Ok(g.scale(sum, 2.0 * self.temperature))
    }
}
