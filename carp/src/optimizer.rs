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
    /// Layer-wise adaptive rate control (You et al., 2017, as in NVIDIA's Apex).
    Larc {
        /// Momentum.
        momentum: f32,
        /// Trust coefficient.
        eta: f32,
        /// Bound the step by that of SGD.
        clip: bool,
        /// Scale and decay 1-D tensors as well.
        vectors: bool,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Momentum.
        momentum: f32,
    },
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

impl Optimizer {
    /// Whether weight decay is for 1-D tensors, too.
    pub fn decays_vectors(&self) -> bool {
        matches!(self, Optimizer::Larc { vectors: true, .. })
    }
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
/// and `second.*`, initially zero. LARS does not scale 1-D tensors, nor does LARC unless it is told to:
/// they take a plain SGD step.
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
        Optimizer::Larc { momentum, eta, clip, vectors } if vectors || shape.len() > 1 => {
            let trust = larc_trust(graph, (eta, clip), settings, weight, grad)?;
            let grad = graph.scale_by(trust, grad)?;
            let weight_decay = graph.mul(trust, weight_decay)?;
            let momentum_buffer = buffer(graph, "momentum");
            graph.sgd(momentum, (lr, weight_decay), grad, weight, momentum_buffer)
        }
        Optimizer::Lars { momentum, .. }
        | Optimizer::Larc { momentum, .. }
        | Optimizer::Sgd { momentum } => {
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
    let norm = length(graph, grad)?;
    let (eps, most) = (graph.fill([1], 1e-6), graph.fill([1], most));
    let norm = graph.add(norm, eps)?;
    let factor = graph.divide(most, norm)?;
    let factor = graph.clamp(factor, 0.0, 1.0);
    graph.scale_by(factor, grad)
}

/// LARC's factor of gradient and decay, `t = eta |w| / (|g| + wd |w| + 1e-8)`; 1 where w or g is 0. The
/// clipped one is `min(t / lr, 1)`, after which a step is no longer than SGD's.
fn larc_trust(
    graph: &mut Graph,
    (eta, clip): (f32, bool),
    (lr, weight_decay): (Value, Value),
    weight: Value,
    grad: Value,
) -> Result<Value> {
    let [of_weight, of_grad] = [length(graph, weight)?, length(graph, grad)?];
    let decay = graph.mul(weight_decay, of_weight)?;
    let eps = graph.fill([1], 1e-8);
    let update = graph.add(of_grad, decay)?;
    let update = graph.add(update, eps)?;
    let trust = graph.divide(of_weight, update)?;
    let mut trust = graph.scale(trust, eta);
    if clip {
        trust = graph.divide(trust, lr)?;
        trust = graph.clamp(trust, 0.0, 1.0);
    }
    // 1 for every length but 0.
    let product = graph.mul(of_weight, of_grad)?;
    let product = graph.scale(product, f32::MAX);
    let counts = graph.clamp(product, 0.0, 1.0);
    let trust = graph.mul(counts, trust)?;
    let (one, minus) = (graph.fill([1], 1.0), graph.scale(counts, -1.0));
    let plain = graph.add(one, minus)?;
    graph.add(trust, plain)
}

/// |x|, `[1]`, of a tensor of any shape.
fn length(graph: &mut Graph, x: Value) -> Result<Value> {
    let row = graph.reshape(x, [1, graph.shape(x).elements()])?;
    let direction = graph.l2_normalize(row, f32::MIN_POSITIVE);
    let along = graph.mul(row, direction)?;
    Ok(graph.sum(along))
}
