//! Ops that update persistent values: gradient accumulation, the teacher's moving average and the
//! optimizers. Settings that change from step to step are inputs of the graph.
//!
//! - accumulate: `acc = g + keep acc`
//! - ema: `teacher = m teacher + (1 - m) student`
//! - sgd: `b = mu b + (g + wd w)`, `w = w - lr b`
//! - lars: as sgd with `u = g + wd w` scaled by `eta |w| / |u|` where both norms are above 0
//! - adamw: `w = w - lr wd w`; moments `f = b1 f + (1-b1) g`, `s = b2 s + (1-b2) g^2`;
//!   `w = w - lr (f/(1-b1^t)) / (sqrt(s/(1-b2^t)) + eps)`

use tensor::kernel::AdamW;
use tensor::{Error, Kernel, Result};

use crate::graph::{Graph, Value};

impl Graph {
    /// `acc = g + keep acc`; just g if the scalar `keep` is 0.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn accumulate(&mut self, keep: Value, grad: Value, acc: Value) -> Result<()> {
        self.same_shape("accumulate", grad, acc)?;
        self.push_node(Kernel::Accumulate, &[keep, grad], &[acc]);
        Ok(())
    }

    /// `state = value`.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn assign(&mut self, value: Value, state: Value) -> Result<()> {
        let keep = self.fill([1], 0.0);
        self.accumulate(keep, value, state)
    }

    /// `teacher = m teacher + (1 - m) student`, with the scalar `m`. No gradient passes through.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn ema(&mut self, m: Value, student: Value, teacher: Value) -> Result<()> {
        self.same_shape("ema", student, teacher)?;
        self.push_node(Kernel::Ema, &[m, student], &[teacher]);
        self.detached.push(teacher);
        Ok(())
    }

    /// A step of SGD with momentum on `w`; `buffer` is its momentum, initially zero.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn sgd(
        &mut self,
        momentum: f32,
        (lr, wd): (Value, Value),
        grad: Value,
        w: Value,
        buffer: Value,
    ) -> Result<()> {
        self.same_shape("sgd", grad, w)?;
        self.same_shape("sgd", w, buffer)?;
        self.push_node(Kernel::Sgd { momentum }, &[grad, lr, wd], &[w, buffer]);
        Ok(())
    }

    /// A step of LARS on `w`; `buffer` is its momentum, initially zero.
    ///
    /// # Errors
    /// If the shapes differ, or have more elements than a u32 counts.
    pub fn lars(
        &mut self,
        (momentum, eta): (f32, f32),
        (lr, wd): (Value, Value),
        grad: Value,
        w: Value,
        buffer: Value,
    ) -> Result<()> {
        self.same_shape("lars", grad, w)?;
        self.same_shape("lars", w, buffer)?;
        let Ok(end) = u32::try_from(self.shape(w).elements()) else {
            let detail = format!("{} has more elements than a u32 counts", self.shape(w));
            return Err(Error::shape("lars", detail));
        };
        let ranges = self.constant_u32("range", vec![0, end]);
        let kernel = Kernel::Lars { momentum, eta, tensors: 1 };
        self.push_node(kernel, &[grad, lr, wd, ranges], &[w, buffer]);
        Ok(())
    }

    /// A step of AdamW on `w`; the moments are initially zero, and `correction` `[2]` holds 1 -
    /// beta1^t and 1 - beta2^t for step t = 1, 2, ...
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn adamw(
        &mut self,
        settings: AdamW,
        (lr, wd, correction): (Value, Value, Value),
        grad: Value,
        w: Value,
        (first, second): (Value, Value),
    ) -> Result<()> {
        for other in [grad, first, second] {
            self.same_shape("adamw", w, other)?;
        }
        if self.shape(correction)[..] != [2] {
            let detail = format!("correction is {}, should be [2]", self.shape(correction));
            return Err(Error::shape("adamw", detail));
        }
        let inputs = [grad, lr, wd, correction];
        self.push_node(Kernel::AdamW(settings), &inputs, &[w, first, second]);
        Ok(())
    }
}
