//! SwAV (Caron et al., 2020): predict the code of one view from another.
//!
//! ```text
//! s_v    = <z_v, c_k>                          cosines to the prototypes, every view v
//! code_a = Sinkhorn(s_a)                       views a = 0, 1; no gradient
//! L      = 1/2 sum_a 1 / (V - 1) sum_{v != a} CE(code_a, s_v / T)
//! ```
//!
//! Sinkhorn spreads the batch evenly over the prototypes, so not all images can have the same
//! code. A batch smaller than K is helped by a queue of earlier embeddings, which take part in
//! Sinkhorn with today's prototypes and are then dropped.

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::cross_entropy::cross_view_entropy;
use crate::sinkhorn::sinkhorn;

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Swav {
    /// Sharpness of the codes: smaller is harder.
    pub epsilon: f32,
    /// Iterations of Sinkhorn.
    pub iterations: usize,
    /// T.
    pub temperature: f32,
}

impl Default for Swav {
    fn default() -> Swav {
        Swav { epsilon: 0.05, iterations: 3, temperature: 0.1 }
    }
}

impl Swav {
    /// The codes `[B,K]` of one view's scores, with those of its queue `[R,K]`, if there is one.
    ///
    /// # Errors
    /// Shapes that do not fit, or no iterations.
    pub fn codes(&self, g: &mut Graph, scores: Value, queue: Option<Value>) -> Result<Value> {
        let batch = g.shape(scores).rows();
        let earlier = queue.map_or(0, |queue| g.shape(queue).rows());
        let all: Vec<Value> = queue.into_iter().chain([scores]).collect();
        let all = g.concat_rows(&all)?;
        let codes = sinkhorn(g, all, self.epsilon, self.iterations)?;
        g.slice_rows(codes, earlier, batch)
    }

    /// The loss of the scores `[V*B,K]`, view by view, and the codes `[2*B,K]` of views 0 and 1.
    ///
    /// # Errors
    /// Shapes that do not fit, or fewer than two views.
    pub fn loss(&self, g: &mut Graph, scores: Value, codes: Value) -> Result<Value> {
        let logits = g.scale(scores, 1.0 / self.temperature);
        cross_view_entropy(g, codes, logits)
    }
}
