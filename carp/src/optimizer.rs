//! The optimizers' updates as ops of the step (docs/method.md, 1.8).

use autograd::{Graph, Result, Value};
use tensor::kernel::AdamW;

/// The optimizer, with the settings that are constant during a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Layer-wise adaptive rate scaling, the authors' choice.
    Lars {
        /// Momentum.
        momentum: f32,
        /// Trust coefficient.
        eta: f32,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Momentum.
        momentum: f32,
    },
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

/// The settings of one tensor's update.
#[derive(Clone, Copy, Debug)]
pub struct OptimizerScalars {
    /// Learning rate.
    pub lr: Value,
    /// Weight decay.
    pub weight_decay: Value,
    /// With AdamW: 1 - beta1^t and 1 - beta2^t, `[2]`.
    pub correction: Value,
}

/// Updates one tensor, and appends its optimizer state to `state`: named `momentum.*`, or `first.*`
/// and `second.*`, initially zero. LARS does not scale 1-D tensors: they take a plain SGD step.
///
/// # Errors
/// A gradient of another shape.
pub fn optimizer_step(
    graph: &mut Graph,
    optimizer: Optimizer,
    scalars: OptimizerScalars,
    weight: Value,
    grad: Value,
    state: &mut Vec<Value>,
) -> Result<()> {
    let info = graph.info(weight);
    let (name, shape) = (info.name.clone(), info.shape);
    let OptimizerScalars { lr, weight_decay, correction } = scalars;
    let settings = (lr, weight_decay);
    let mut buffer = |graph: &mut Graph, kind: &str| {
        let buffer = graph.state(&format!("{kind}.{name}"), shape);
        state.push(buffer);
        buffer
    };
    match optimizer {
        Optimizer::Lars { momentum, eta } if shape.len() > 1 => {
            let momentum_buffer = buffer(graph, "momentum");
            graph.lars((momentum, eta), settings, grad, weight, momentum_buffer)
        }
        Optimizer::Lars { momentum, .. } | Optimizer::Sgd { momentum } => {
            let momentum_buffer = buffer(graph, "momentum");
            graph.sgd(momentum, settings, grad, weight, momentum_buffer)
        }
        Optimizer::AdamW(adamw) => {
            let moments = (buffer(graph, "first"), buffer(graph, "second"));
            graph.adamw(adamw, (lr, weight_decay, correction), grad, weight, moments)
        }
    }
}

/// A gradient scaled down where its norm is above `most`: `g min(1, most / (|g| + 1e-6))`.
///
/// # Errors
/// Those of its ops; none for a gradient of any shape.
pub fn clipped(graph: &mut Graph, grad: Value, most: f32) -> Result<Value> {
    let shape = graph.shape(grad);
    let row = graph.reshape(grad, [1, shape.elements()])?;
    let direction = graph.l2_normalize(row, f32::MIN_POSITIVE);
    let along = graph.mul(row, direction)?;
    let norm = graph.sum(along);
    let (eps, most) = (graph.fill([1], 1e-6), graph.fill([1], most));
    let norm = graph.add(norm, eps)?;
    let factor = graph.divide(most, norm)?;
    let factor = graph.clamp(factor, 0.0, 1.0);
    graph.scale_by(factor, grad)
}
