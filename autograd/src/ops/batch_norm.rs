//! Batch norm over the rows of `[.., C]`.
//!
//! `y = xhat gamma + beta`, `xhat = (x - mean) inv_std`, where mean and variance are the batch's
//! (training) or the running ones (inference):
//!
//! - `dbeta = sum of dy`, `dgamma = sum of dy xhat`
//! - training: `dx = gamma inv_std (dy - dbeta/R - xhat dgamma/R)` with R rows
//! - inference: `dx = gamma inv_std dy`
//!
//! The kernel can also add a residual and apply ReLU, `y = relu(xhat gamma + beta + residual)`: see
//! `fuse.rs`. Then `g = dy where y > 0` replaces dy, and `dresidual = g`.

use tensor::geometry::BatchNorm;
use tensor::{Error, Kernel, Result};

use crate::graph::{DType, Gradients, Graph, Kind, Node, Value};

/// The tensors of a batch norm layer, `[C]` each.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormParams {
    /// Scale gamma.
    pub weight: Value,
    /// Shift beta.
    pub bias: Value,
    /// Running mean, updated in training.
    pub running_mean: Value,
    /// Running variance, updated in training.
    pub running_var: Value,
}

impl Graph {
    /// Batch norm of x `[.., C]`.
    ///
    /// # Errors
    /// Parameters that are not `[C]`, or training with one row per channel, whose variance is 0 by
    /// definition.
    pub fn batch_norm(
        &mut self,
        x: Value,
        params: BatchNormParams,
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
        if training && rows * self.shards().all < 2 {
            let detail = format!(
                "input {shape} has one value per channel, training needs at least 2: \
                 use a larger batch"
            );
            return Err(Error::setting("batch_norm", detail));
        }
        let (residual, relu) = (false, false);
        let norm = BatchNorm { rows, channels, eps, momentum, training, residual, relu };
        let [y, mean, inv_std] =
            [shape, self.shape(weight), self.shape(weight)].map(|s| self.temp(s, DType::F32));
        let outputs = [y, mean, inv_std, running_mean, running_var];
        self.push_node(Kernel::BatchNorm(norm), &[x, weight, bias], &outputs);
        Ok(y)
    }
}

pub(super) fn vjp(g: &mut Graph, node: &Node, norm: BatchNorm, dy: Value) -> Gradients {
    let mut dxs = gradients(g, node, norm, dy)?;
    // Statistics of a batch in shards, see `shards`: the kernel took them for constants, and what
    // flows through them is missing, gamma inv_std (-dbeta/R - xhat dgamma/R) over all R rows. That is
    // batch norm of x with other gamma and beta, and dx is its residual.
    if g.info(node.outputs[3]).kind == Kind::Temp {
        let (x, weight) = (node.inputs[0], node.inputs[1]);
        let [_, mean, inv_std] = [0, 1, 2].map(|output| node.outputs[output]);
        let [dx, dweight, dbias] = [0, 1, 2].map(|input| dxs[input].expect("the kernel's output"));
        let [dweight, dbias] = [dweight, dbias].map(|local| g.sum_shards(local));
        let share = -1.0 / (norm.rows * g.shards().all) as f32;
        let scale = g.mul(weight, inv_std)?;
        let scale = g.scale(scale, share);
        let (gamma, beta) = (g.mul(scale, dweight)?, g.mul(scale, dbias)?);
        let norm = BatchNorm { residual: true, relu: false, ..norm };
        let inputs = [x, gamma, beta, mean, inv_std, dx];
        let dx = g.apply(Kernel::BatchNormApply(norm), &inputs, g.shape(x));
        dxs[..3].copy_from_slice(&[dx, dweight, dbias].map(Some));
    }
    Ok(dxs)
}

/// The gradients of [`Kernel::BatchNormFromSums`]: those by x are through the sums as well.
pub(super) fn from_sums_vjp(g: &mut Graph, node: &Node, norm: BatchNorm, dy: Value) -> Gradients {
    let mut dxs = gradients(g, node, norm, dy)?;
    dxs.insert(3, None);
    Ok(dxs)
}

/// The gradients of the kernel.
fn gradients(g: &mut Graph, node: &Node, norm: BatchNorm, dy: Value) -> Gradients {
    let (x, weight) = (node.inputs[0], node.inputs[1]);
    let (y, mean, inv_std) = (node.outputs[0], node.outputs[1], node.outputs[2]);
    // Without ReLU the kernel does not read y: passing x instead lets y die early.
    let masked_by = if norm.relu { y } else { x };
    let (image, channel) = (g.shape(x), g.shape(weight));
    let mut outputs = vec![image, channel, channel];
    if norm.residual && norm.relu {
        outputs.push(image);
    }
    let outputs: Vec<_> = outputs.into_iter().map(|shape| g.temp(shape, DType::F32)).collect();
    let inputs = [x, masked_by, dy, weight, mean, inv_std];
    g.push_node(Kernel::BatchNormBackward(norm), &inputs, &outputs);
    let mut dxs: Vec<_> = outputs.into_iter().map(Some).collect();
    if norm.residual && !norm.relu {
        dxs.push(Some(dy));
    }
    Ok(dxs)
}
