//! InfoMin (Tian et al., 2020): momentum contrast of views that share little but what matters.
//!
//! ```text
//! q = l2(query(x1)),  j = l2(query(jigsaw of x1)),  k = l2(key(x2))
//! L = (1 - beta) CE(0, [<q,k>, queue] / T) + beta CE(0, [<j,k>, queue] / T)
//! ```
//!
//! The jigsaw view is nine patches in random order. The queue of earlier keys, which a query has
//! to avoid, forbids collapse. The views' augmentation is the method's point: see docs/methods.md.

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::info_nce::info_nce;
use crate::unit::unit;

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InfoMin {
    /// T.
    pub temperature: f32,
    /// Weight of the jigsaw view.
    pub beta: f32,
}

impl Default for InfoMin {
    fn default() -> InfoMin {
        InfoMin { temperature: 0.15, beta: 0.5 }
    }
}

impl InfoMin {
    /// The loss of queries, keys and jigsaw queries `[B,D]` and the queue `[R,D]`, whose rows have
    /// length 1; keys and queue are constants.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss(&self, g: &mut Graph, [q, k, jigsaw]: [Value; 3], queue: Value) -> Result<Value> {
        let [q, k, jigsaw] = [q, k, jigsaw].map(|x| unit(g, x));
        let whole = info_nce(g, q, k, queue, self.temperature)?;
        let whole = g.scale(whole, 1.0 - self.beta);
        let patches = info_nce(g, jigsaw, k, queue, self.temperature)?;
        let patches = g.scale(patches, self.beta);
        g.add(whole, patches)
    }
}
