//! DINO (Caron et al., 2021): the student predicts the teacher's assignment of another view.
//!
//! ```text
//! s = <l2(z), v / |v|> of all views by the student,  t = that of views 0 and 1 by the teacher
//! q = softmax((t - c) / T_t),  p = softmax(s / T_s),  L = mean over pairs of views of CE(q, p)
//! c <- the moving average of mean(t), after the loss
//! teacher <- m teacher + (1 - m) student             after the student has moved
//! ```
//!
//! The prototypes do not move in the first epoch.

use autograd::{Graph, Result, Value};
use methods::Dino;
use methods::unit::unit;
use serde::{Deserialize, Serialize};

use super::definition::{Built, Method};
use super::frozen::Frozen;
use crate::networks::Network;
use crate::nn::{Init, MlpConfig};
use crate::step_builder::{StepBuilder, TeacherMoves};

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DinoConfig {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: Dino,
    /// Batch norm in the head.
    pub batch_norm: bool,
    /// Epochs in which the prototypes do not move.
    pub frozen_epochs: usize,
}

impl Default for DinoConfig {
    fn default() -> DinoConfig {
        DinoConfig { loss: Dino::default(), batch_norm: false, frozen_epochs: 1 }
    }
}

impl Method for DinoConfig {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let layers = MlpConfig { batch_norm: self.batch_norm, ..step.sizes.head.layers() };
        let prototypes = step.sizes.head.prototypes;
        let student = step.student(&layers, Some(prototypes));
        let teacher = step.teacher(&layers, Some(prototypes));
        let centre = step.state("centre", &[prototypes], Init::Constant(0.0));
        step.teacher_moves = TeacherMoves::AfterOptimizer;
        let frozen = Frozen::new(step, &[student.prototypes()], self.frozen_epochs);

        let (all, global) = (step.all_views(), step.views_in(0..2));
        let g = &mut step.graph;
        let t = logits(g, &teacher, &global)?;
        let s = logits(g, &student, &all)?;
        let loss = g.scope("loss", |g| self.loss.loss(g, s, t, centre))?;
        let settings = self.loss;
        step.afterwards.push(Box::new(move |g| settings.update_centre(g, t, centre)));
        Ok(Built { hooks: Box::new(frozen), ..Built::of(loss) })
    }
}

/// Cosines to the prototypes, `[N,K]`.
fn logits(g: &mut Graph, network: &Network, groups: &[Value]) -> Result<Value> {
    let z = network.embed(g, groups)?;
    let z = unit(g, z);
    let directions = g.weight_norm(network.prototypes());
    g.matmul(z, false, directions, true)
}
