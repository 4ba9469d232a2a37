//! DINO (Caron et al., 2021): the student predicts the teacher's assignment of another view.
//!
//! ```text
//! s = <l2(z), v / |v|> of all views by the student,  t = that of views 0 and 1 by the teacher
//! q = softmax((t - c) / T_t),  p = softmax(s / T_s),  L = mean over pairs of views of CE(q, p)
//! c <- the moving average of mean(t), after the loss
//! teacher <- m teacher + (1 - m) student             after the student has moved
//! ```
//!
//! The prototypes do not move in the first epoch. T_t may rise over the first epochs.

use autograd::{Executor, Graph, Result, Value};
use methods::Dino;
use methods::unit::unit;
use serde::{Deserialize, Serialize};

use super::definition::{Built, Method, Range};
use super::frozen::Frozen;
use super::hooks::{Hooks, Moment};
use crate::networks::Network;
use crate::nn::{Init, MlpConfig};
use crate::step_builder::{StepBuilder, TeacherMoves};

/// The settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DinoConfig {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: Dino,
    /// T_t in the first epoch, if it rises.
    pub first_teacher_temperature: f32,
    /// Epochs in which T_t rises linearly to `teacher_temperature`, which is that of the last of them;
    /// 0 keeps it constant.
    pub temperature_epochs: usize,
    /// Batch norm in the head.
    pub batch_norm: bool,
    /// Epochs in which the prototypes do not move.
    pub frozen_epochs: usize,
}

impl Default for DinoConfig {
    fn default() -> DinoConfig {
        DinoConfig {
            loss: Dino::default(),
            first_teacher_temperature: 0.04,
            temperature_epochs: 0,
            batch_norm: false,
            frozen_epochs: 1,
        }
    }
}

impl DinoConfig {
    /// T_t in this epoch, from 0.
    fn teacher_temperature(&self, epoch: usize) -> f32 {
        let (first, last) = (self.first_teacher_temperature, self.loss.teacher_temperature);
        if epoch >= self.temperature_epochs {
            return last;
        }
        let span = (self.temperature_epochs - 1).max(1);
        first + (last - first) * epoch as f32 / span as f32
    }
}

impl Method for DinoConfig {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("student_temperature", Range::Positive),
            ("teacher_temperature", Range::Positive),
            ("centre_momentum", Range::Share),
            ("first_teacher_temperature", Range::Positive),
            ("temperature_epochs", Range::AtLeast(0)),
            ("frozen_epochs", Range::AtLeast(0)),
        ]
    }

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
        let sharpness = g.input("teacher_sharpness", [1]);
        let loss = g.scope("loss", |g| self.loss.loss_at(g, s, t, (centre, sharpness)))?;
        let settings = self.loss;
        step.afterwards.push(Box::new(move |g| settings.update_centre(g, t, centre)));
        let hooks = DinoHooks { frozen, sharpness, settings: *self };
        Ok(Built { hooks: Box::new(hooks), ..Built::of(loss) })
    }
}

struct DinoHooks {
    frozen: Frozen,
    /// Input: 1 / T_t.
    sharpness: Value,
    settings: DinoConfig,
}

impl Hooks for DinoHooks {
    fn before_forward(&mut self, at: Moment, images: &[u32], executor: &mut Executor) {
        self.frozen.before_forward(at, images, executor);
        executor.write(self.sharpness, &[1.0 / self.settings.teacher_temperature(at.epoch())]);
    }
}

/// Cosines to the prototypes, `[N,K]`.
fn logits(g: &mut Graph, network: &Network, groups: &[Value]) -> Result<Value> {
    let z = network.embed(g, groups)?;
    let z = unit(g, z);
    let directions = g.weight_norm(network.prototypes());
    g.matmul(z, false, directions, true)
}
