//! DINO (Caron et al., 2021): the student predicts the teacher's assignment of another view.
//!
//! ```text
//! p_v = softmax(s_v / T_s)                 every view v of the student
//! q_i = softmax((t_i - c) / T_t)           the global views i = 0, 1 of the teacher
//! L   = 1 / (2V - 2) sum_i sum_{v != i} CE(q_i, p_v)
//! c  <- m c + (1 - m) mean(t)              after the loss
//! ```
//!
//! The centre c takes away what the teacher says of every image, so that no prototype dominates; the small
//! T_t sharpens, so that the assignment is not uniform. Either alone would collapse.

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::cross_entropy::cross_view_entropy;

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dino {
    /// T_s.
    pub student_temperature: f32,
    /// T_t.
    pub teacher_temperature: f32,
    /// m of the centre.
    pub centre_momentum: f32,
}

impl Default for Dino {
    fn default() -> Dino {
        Dino { student_temperature: 0.1, teacher_temperature: 0.04, centre_momentum: 0.9 }
    }
}

impl Dino {
    /// The loss of the student's logits `[V*B,K]`, the teacher's `[2*B,K]`, both view by view, and
    /// the centre `[K]`; the last two are constants.
    ///
    /// # Errors
    /// Shapes that do not fit, or fewer than two views.
    pub fn loss(
        &self,
        g: &mut Graph,
        student: Value,
        teacher: Value,
        centre: Value,
    ) -> Result<Value> {
        let sharpness = g.fill([1], 1.0 / self.teacher_temperature);
        self.loss_at(g, student, teacher, (centre, sharpness))
    }

    /// The same with 1 / T_t, `[1]`, which may change from step to step.
    ///
    /// # Errors
    /// As [`Dino::loss`].
    pub fn loss_at(
        &self,
        g: &mut Graph,
        student: Value,
        teacher: Value,
        (centre, sharpness): (Value, Value),
    ) -> Result<Value> {
        let minus_centre = g.scale(centre, -1.0);
        let centred = g.add_bias(teacher, minus_centre)?;
        let centred = g.scale_by(sharpness, centred)?;
        let targets = g.softmax(centred);
        let logits = g.scale(student, 1.0 / self.student_temperature);
        cross_view_entropy(g, targets, logits)
    }

    /// Moves the centre `[K]`, a state, towards the mean of the teacher's logits.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn update_centre(&self, g: &mut Graph, teacher: Value, centre: Value) -> Result<()> {
        let rows = g.shape(teacher).rows();
        let sum = g.sum_rows(teacher);
        let mean = g.scale(sum, 1.0 / rows as f32);
        let momentum = g.fill([1], self.centre_momentum);
        g.ema(momentum, mean, centre)
    }
}
