//! Batch norm over the rows of `[.., C]`, fused with the residual add and the ReLU behind it.
//!
//! `y = relu(xhat gamma + beta + residual)`, `xhat = (x - mean) inv_std`, where mean and variance
//! are the batch's (training) or the running ones (inference). With `g = dy where y > 0`:
//!
//! - `dbeta = sum of g`, `dgamma = sum of g xhat`, `dresidual = g`
//! - training: `dx = gamma inv_std (g - dbeta/R - xhat dgamma/R)` with R rows
//! - inference: `dx = gamma inv_std g`

use tensor::backend::{BatchNorm, BatchNormSlots};
use tensor::{Backend, Error, Result, Shape};

use crate::graph::{DType, Graph, Io, Node, Op, Value};

/// What belongs to one batch norm layer, `[C]` each.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormParams {
    /// Scale gamma.
    pub weight: Value,
    /// Shift beta.
    pub bias: Value,
    /// Running mean, moved by training.
    pub running_mean: Value,
    /// Running variance, moved by training.
    pub running_var: Value,
}

/// Inputs: x, weight, bias, then with `training` nothing, else running_mean and running_var, then
/// the residual if there is one. Outputs: y, inv_std, and with `training` mean, running_mean and
/// running_var.
struct Forward {
    norm: BatchNorm,
    training: bool,
    residual: bool,
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        outputs[0].elements() as u64 * if self.training { 7 } else { 2 }
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        if self.training { backend.batch_norm_workspace(self.norm) } else { 0 }
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let residual = self.residual.then(|| io.inputs[io.inputs.len() - 1]);
        let [x, weight, bias] = [io.inputs[0], io.inputs[1], io.inputs[2]];
        let [y, inv_std] = [io.outputs[0], io.outputs[1]];
        if self.training {
            let [mean, running_mean, running_var] = [io.outputs[2], io.outputs[3], io.outputs[4]];
            let slots = BatchNormSlots { weight, bias, running_mean, running_var };
            backend.batch_norm(self.norm, x, residual, slots, y, mean, inv_std, io.workspace);
        } else {
            let [running_mean, running_var] = [io.inputs[3], io.inputs[4]];
            let slots = BatchNormSlots { weight, bias, running_mean, running_var };
            backend.batch_norm_inference(self.norm, x, residual, slots, y, inv_std);
        }
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        _wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        let Some(dy) = grads[0] else { return Ok(vec![None; node.inputs.len()]) };
        let [x, weight] = [node.inputs[0], node.inputs[1]];
        let [y, inv_std] = [node.outputs[0], node.outputs[1]];
        let mean = if self.training { node.outputs[2] } else { node.inputs[3] };
        // Without ReLU the kernel does not look at y: passing x instead lets y die early.
        let masked_by = if self.norm.relu { y } else { x };
        let (image, channel) = (graph.shape(x), graph.shape(weight));
        let mut outputs = vec![
            graph.temp(image, DType::F32),
            graph.temp(channel, DType::F32),
            graph.temp(channel, DType::F32),
        ];
        if self.residual && self.norm.relu {
            outputs.push(graph.temp(image, DType::F32));
        }
        let op = Backward { norm: self.norm, training: self.training };
        let inputs = [x, masked_by, dy, weight, mean, inv_std];
        graph.push_node(op, &inputs, outputs.clone());
        let mut dxs = vec![Some(outputs[0]), Some(outputs[1]), Some(outputs[2])];
        if !self.training {
            dxs.extend([None, None]);
        }
        if self.residual {
            dxs.push(Some(outputs.get(3).copied().unwrap_or(dy)));
        }
        Ok(dxs)
    }
}

/// Inputs: x, y, dy, weight, mean, inv_std. Outputs: dx, dweight, dbias, and dresidual if wanted.
struct Backward {
    norm: BatchNorm,
    training: bool,
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "batch_norm_backward"
    }

    fn flops(&self, outputs: &[Shape]) -> u64 {
        outputs[0].elements() as u64 * 9
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.batch_norm_workspace(self.norm)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let [x, y, dy, weight, mean, inv_std] = *io.inputs else { unreachable!("six inputs") };
        let [dx, dweight, dbias] = [io.outputs[0], io.outputs[1], io.outputs[2]];
        let dresidual = io.outputs.get(3).copied();
        let (norm, ws) = (self.norm, io.workspace);
        if self.training {
            backend.batch_norm_backward(
                norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, dresidual, ws,
            );
        } else {
            backend.batch_norm_inference_backward(
                norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, dresidual, ws,
            );
        }
    }
}

impl Graph {
    /// Batch norm of x `[.., C]`, plus `residual` of the same shape, then ReLU if `relu`.
    ///
    /// # Errors
    /// Parameters that are not `[C]`, a residual of another shape, or training with one row per
    /// channel, whose variance is 0 by definition.
    #[allow(clippy::too_many_arguments)]
    pub fn batch_norm(
        &mut self,
        x: Value,
        params: BatchNormParams,
        residual: Option<Value>,
        relu: bool,
        training: bool,
        eps: f32,
        momentum: f32,
    ) -> Result<Value> {
        let shape = self.shape(x);
        let (rows, channels) = (shape.rows(), shape.columns());
        let BatchNormParams { weight, bias, running_mean, running_var } = params;
        for v in [weight, bias, running_mean, running_var] {
            if self.shape(v)[..] != [channels] {
                let info = self.info(v);
                let detail =
                    format!("{} is {}, input {shape} needs [{channels}]", info.name, info.shape);
                return Err(Error::shape("batch_norm", detail));
            }
        }
        if let Some(residual) = residual {
            self.same_shape("batch_norm", x, residual)?;
        }
        if training && rows < 2 {
            let detail = format!(
                "input {shape} has one value per channel, training needs at least 2: \
                 use a larger batch"
            );
            return Err(Error::setting("batch_norm", detail));
        }
        let norm = BatchNorm { rows, channels, eps, momentum, relu };
        let mut inputs = vec![x, weight, bias];
        let channel = self.shape(weight);
        let y = self.temp(shape, DType::F32);
        let mut outputs = vec![y, self.temp(channel, DType::F32)];
        if training {
            outputs.extend([self.temp(channel, DType::F32), running_mean, running_var]);
        } else {
            inputs.extend([running_mean, running_var]);
        }
        inputs.extend(residual);
        let op = Forward { norm, training, residual: residual.is_some() };
        self.push_node(op, &inputs, outputs);
        Ok(y)
    }
}
