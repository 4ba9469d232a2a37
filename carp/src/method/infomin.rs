//! InfoMin (Tian et al., 2020): momentum contrast of views that share little but what matters.
//!
//! ```text
//! q = l2(query(view 1)),  k = l2(key(view 2))
//! L = CE(0, [<q,k>, queue] / T);  then k joins the queue
//! key <- m key + (1 - m) query                after the query network has moved
//! ```
//!
//! The views' strong augmentation is the method's point. The authors' second branch, a jigsaw of
//! nine patches, is not trained here: see docs/methods.md.

use autograd::Result;
use methods::info_nce::info_nce;
use methods::unit::unit;
use serde::{Deserialize, Serialize};

use super::definition::{Built, Method};
use super::queues::{push_afterwards, queue_of};
use crate::nn::MlpConfig;
use crate::step_builder::{StepBuilder, TeacherMoves};

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InfoMinConfig {
    /// T.
    pub temperature: f32,
    /// Keys in the queue.
    pub queue: usize,
}

impl Default for InfoMinConfig {
    fn default() -> InfoMinConfig {
        InfoMinConfig { temperature: 0.15, queue: 65536 }
    }
}

impl Method for InfoMinConfig {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (hidden, dim) = (step.sizes.head.hidden, step.sizes.head.bottleneck);
        let layers = MlpConfig { batch_norm: false, ..MlpConfig::relu(&[hidden, dim]) };
        let [view1, view2] = step.two_views()?;
        let query = step.student(&layers, None);
        let key = step.teacher(&layers, None);
        let queue = queue_of(step, "queue", self.queue)?;
        step.teacher_moves = TeacherMoves::AfterOptimizer;

        let g = &mut step.graph;
        let q = query.embed(g, &[view1])?;
        let k = key.embed(g, &[view2])?;
        let [q, k] = [q, k].map(|x| unit(g, x));
        let loss = g.scope("loss", |g| info_nce(g, q, k, queue, self.temperature))?;
        push_afterwards(step, queue, k);
        Ok(Built::of(loss))
    }
}
