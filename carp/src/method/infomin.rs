//! InfoMin (Tian et al., 2020): momentum contrast of views that share little but what matters.
//!
//! ```text
//! q = l2(query(view 1)),  k = l2(key(view 2))
//! j = l2(whole([patch(backbone(p_1)), .., patch(backbone(p_9))]))     the jigsaw's patches p
//! L = (1 - beta) CE(0, [<q,k>, queue] / T) + beta CE(0, [<j,k>, queue] / T);  then k joins the queue
//! key <- m key + (1 - m) query                after the query network has moved
//! ```
//!
//! The views' strong augmentation is the method's point. Views that are patches, of one more crop and in
//! random order, make the jigsaw; without any the loss is the first term's, with weight 1.

use autograd::{Error, Graph, Result, Value};
use methods::InfoMin;
use methods::info_nce::info_nce;
use methods::unit::unit;
use serde::{Deserialize, Serialize};

use super::definition::{Built, Method, Range};
use super::queues::{push_afterwards, queue_of};
use crate::networks::Network;
use crate::nn::MlpConfig;
use crate::step_builder::{StepBuilder, TeacherMoves};

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InfoMinConfig {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: InfoMin,
    /// Keys in the queue.
    pub queue: usize,
}

impl Default for InfoMinConfig {
    fn default() -> InfoMinConfig {
        InfoMinConfig { loss: InfoMin::default(), queue: 65536 }
    }
}

impl Method for InfoMinConfig {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[("temperature", Range::Positive), ("beta", Range::Share), ("queue", Range::AtLeast(0))]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (hidden, dim) = (step.sizes.head.hidden, step.sizes.head.bottleneck);
        let layers = MlpConfig { batch_norm: false, ..MlpConfig::relu(&[hidden, dim]) };
        let (views, patches) = (step.sizes.view_sizes.len(), step.sizes.patches);
        if views != 2 + patches {
            let detail = format!(
                "the method takes 2 views and patches, not {}: set views.local_count to 0",
                views - patches
            );
            return Err(Error::setting("views", detail));
        }
        let [view1, view2] = [step.views_in(0..1)[0], step.views_in(1..2)[0]];
        let query = step.student(&layers, None);
        let key = step.teacher(&layers, None);
        let jigsaw = if patches > 0 { Some(jigsaw(step, &query, &layers)?) } else { None };
        let queue = queue_of(step, "queue", self.queue)?;
        step.teacher_moves = TeacherMoves::AfterOptimizer;

        let g = &mut step.graph;
        let q = query.embed(g, &[view1])?;
        let k = key.embed(g, &[view2])?;
        let k = unit(g, k);
        let loss = g.scope("loss", |g| match jigsaw {
            Some(jigsaw) => self.loss.loss(g, [q, k, jigsaw], queue),
            None => {
                let q = unit(g, q);
                info_nce(g, q, k, queue, self.loss.temperature)
            }
        })?;
        push_afterwards(step, queue, k);
        Ok(Built::of(loss))
    }
}

/// One embedding `[B,D]` of all patches of an image: each has the backbone and layers of its own kind,
/// `patch`, and all together a linear layer, `whole`.
fn jigsaw(step: &mut StepBuilder, query: &Network, layers: &MlpConfig) -> Result<Value> {
    let (batch, patches) = (step.sizes.shard_batch, step.sizes.patches);
    let (features, dim) = (step.sizes.resnet.features(), step.sizes.head.bottleneck);
    let patch = step.predictor("jigsaw.patch", features, layers);
    let whole = step.predictor("jigsaw.whole", patches * dim, &MlpConfig::relu(&[dim]));
    let views = step.views_in(2..2 + patches);
    let f = query.features(&mut step.graph, &views, true)?;
    let z = step.predicted(&patch, f)?;
    let z = image_by_image(&mut step.graph, z, patches, batch)?;
    step.predicted(&whole, z)
}

/// Rows `[P*B,D]`, patch by patch, as `[B,P*D]`.
fn image_by_image(g: &mut Graph, z: Value, patches: usize, batch: usize) -> Result<Value> {
    let places = (0..batch).flat_map(|image| (0..patches).map(move |p| p * batch + image));
    let places = g.constant_u32("places", places.map(|place| place as u32).collect());
    let columns = patches * g.shape(z).columns();
    let rows = g.gather_rows(z, places)?;
    g.reshape(rows, [batch, columns])
}
