//! SwAV (Caron et al., 2020): predict the code of one view from another.
//!
//! ```text
//! prototypes <- prototypes / their length             before every forward pass
//! s_v    = <l2(z_v), prototypes>                       all views v
//! code_a = Sinkhorn([queue_a's scores; s_a]), the batch's rows;  a = 0, 1
//! L      = mean over pairs of views of CE(code_a, softmax(s_v / T));  then l2(z_a) joins queue a
//! ```
//!
//! The prototypes do not move in the first epoch. The queue is for batches that are small beside the
//! number of prototypes; 0 is none.

use autograd::{Executor, Graph, Result, Value};
use methods::Swav;
use methods::unit::unit;
use serde::{Deserialize, Serialize};

use super::definition::{Built, Method, Range};
use super::frozen::Frozen;
use super::hooks::{Hooks, Moment};
use super::queues::{push_afterwards, queue_of};
use super::unit_prototypes::project;
use crate::nn::MlpConfig;
use crate::step_builder::StepBuilder;

/// The settings, by default the authors' for large batches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwavConfig {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: Swav,
    /// Earlier embeddings of each assigning view; 0 is no queue.
    pub queue: usize,
    /// The epoch, from 0, from which on the queue fills; once full it is used.
    pub queue_from_epoch: usize,
    /// Epochs in which the prototypes do not move.
    pub frozen_epochs: usize,
}

impl Default for SwavConfig {
    fn default() -> SwavConfig {
        SwavConfig { loss: Swav::default(), queue: 0, queue_from_epoch: 15, frozen_epochs: 1 }
    }
}

impl Method for SwavConfig {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("epsilon", Range::Positive),
            ("iterations", Range::AtLeast(1)),
            ("temperature", Range::Positive),
            ("queue", Range::AtLeast(0)),
            ("queue_from_epoch", Range::AtLeast(0)),
            ("frozen_epochs", Range::AtLeast(0)),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let head = step.sizes.head;
        let batch = step.sizes.shard_batch;
        let student = step.student(&MlpConfig::relu(&[head.hidden, head.bottleneck]), None);
        let prototypes = step.prototypes("prototypes", head.prototypes);
        let frozen = Frozen::new(step, &[prototypes], self.frozen_epochs);
        let queue_is_used = step.graph.input("queue_is_used", [1]);

        let views = step.all_views();
        let g = &mut step.graph;
        project(g, prototypes)?;
        let z = student.embed(g, &views)?;
        let z = unit(g, z);
        let scores = g.matmul(z, false, prototypes, true)?;
        let mut codes = Vec::new();
        for view in 0..2 {
            let g = &mut step.graph;
            let of_view = g.slice_rows(scores, view * batch, batch)?;
            let alone = self.loss.codes(g, of_view, None)?;
            if self.queue == 0 {
                codes.push(alone);
                continue;
            }
            let queue = queue_of(step, &format!("queue.{view}"), self.queue)?;
            let g = &mut step.graph;
            let earlier = g.matmul(queue, false, prototypes, true)?;
            let among_all = self.loss.codes(g, of_view, Some(earlier))?;
            codes.push(chosen(g, queue_is_used, among_all, alone)?);
            let rows = g.slice_rows(z, view * batch, batch)?;
            push_afterwards(step, queue, rows);
        }
        let g = &mut step.graph;
        let codes = g.concat_rows(&codes)?;
        let loss = g.scope("loss", |g| self.loss.loss(g, scores, codes))?;
        let queue_fills = self.queue / batch;
        let from_epoch = self.queue_from_epoch;
        let hooks = SwavHooks { frozen, queue_is_used, from_epoch, queue_fills };
        Ok(Built { hooks: Box::new(hooks), ..Built::of(loss) })
    }
}

/// a where `which` is 1, b where it is 0.
fn chosen(g: &mut Graph, which: Value, a: Value, b: Value) -> Result<Value> {
    let one = g.fill([1], 1.0);
    let minus = g.scale(which, -1.0);
    let other = g.add(one, minus)?;
    let a = g.scale_by(which, a)?;
    let b = g.scale_by(other, b)?;
    g.add(a, b)
}

struct SwavHooks {
    frozen: Frozen,
    queue_is_used: Value,
    from_epoch: usize,
    /// Steps until the queue is full.
    queue_fills: usize,
}

impl Hooks for SwavHooks {
    fn before_forward(&mut self, at: Moment, images: &[u32], executor: &mut Executor) {
        self.frozen.before_forward(at, images, executor);
        let full = self.from_epoch * at.steps_per_epoch + self.queue_fills;
        let is_used = if at.step < full { 0.0 } else { 1.0 };
        executor.write(self.queue_is_used, &[is_used]);
    }
}
