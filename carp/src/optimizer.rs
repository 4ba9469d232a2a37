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
    /// Whether it decays 1-D tensors by itself.
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
            let [of_grad, of_decay] = larc_trust(graph, (eta, clip), settings, weight, grad)?;
            let grad = graph.scale_by(of_grad, grad)?;
            let weight_decay = graph.mul(of_decay, weight_decay)?;
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

/// A gradient scaled down where its norm is above `most`: `g min(1, most / (|g| + 1e-6))`, and so to 0
/// where the norm is infinite.
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

/// LARC's factors of gradient and decay: both `t = eta |w| / (|g| + wd |w| + 1e-8)`, but 1 and 0 where w
/// or g is 0. The clipped one is `min(t / lr, 1)`, with which a step is no longer than SGD's; at rate 0,
/// with which nothing moves, it is finite.
fn larc_trust(
    graph: &mut Graph,
    (eta, clip): (f32, bool),
    (lr, weight_decay): (Value, Value),
    weight: Value,
    grad: Value,
) -> Result<[Value; 2]> {
    let [of_weight, of_grad] = [length(graph, weight)?, length(graph, grad)?];
    let decay = graph.mul(weight_decay, of_weight)?;
    let eps = graph.fill([1], 1e-8);
    let update = graph.add(of_grad, decay)?;
    let update = graph.add(update, eps)?;
    let trust = graph.divide(of_weight, update)?;
    let mut trust = graph.scale(trust, eta);
    if clip {
        // Changes no rate but 0, whose quotient with the trust 0 of a zero tensor is NaN.
        let least = graph.fill([1], f32::MIN_POSITIVE);
        let lr = graph.add(lr, least)?;
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
    Ok([graph.add(trust, plain)?, trust])
}

/// |x|, `[1]`, of a tensor of any shape: infinite from 2^64 on, as its square is in f32.
fn length(graph: &mut Graph, x: Value) -> Result<Value> {
    let squares = graph.mul(x, x)?;
    let sum = graph.sum(squares);
    Ok(graph.sqrt(sum))
}

#[cfg(test)]
mod tests {
    use autograd::Executor;
    use tensor::Cpu;

    use super::*;

    /// The weight after a step of this rate, with trust 0.02 and decay 0.1.
    fn after_larc(weight: [f32; 2], grad: [f32; 2], (rate, clip): (f32, bool)) -> Vec<f32> {
        let mut graph = Graph::new();
        let w = graph.param("w", [2]);
        let g = graph.input("g", [2]);
        let [lr, weight_decay] = ["lr", "weight_decay"].map(|name| graph.input(name, [1]));
        let correction = graph.input("correction", [2]);
        let scalars = OptimizerScalars { lr, weight_decay, correction };
        let larc = Optimizer::Larc { momentum: 0.9, eta: 0.02, clip, vectors: true };
        optimizer_step(&mut graph, larc, scalars, w, g, &mut Vec::new()).unwrap();
        let mut executor = Executor::new(graph, &Cpu).unwrap();
        executor.write(w, &weight);
        executor.write(g, &grad);
        executor.write(lr, &[rate]);
        executor.write(weight_decay, &[0.1]);
        executor.run_all().unwrap();
        executor.read(w)
    }

    /// Of short gradients, of long ones, and where the norm overflows: PyTorch's factors.
    #[test]
    fn clipping_never_lengthens_a_gradient() {
        for (grad, want) in [
            ([0.3f32, -0.4], [0.3, -0.4]),
            ([30.0, -40.0], [1.8, -2.4]),
            ([3e18, -4e18], [1.8, -2.4]),
            ([3e19, -4e19], [0.0, 0.0]),
            ([0.0, f32::MAX], [0.0, 0.0]),
        ] {
            let mut graph = Graph::new();
            let g = graph.input("g", [2]);
            let y = clipped(&mut graph, g, 3.0).unwrap();
            graph.keep(y);
            let mut executor = Executor::new(graph, &Cpu).unwrap();
            executor.write(g, &grad);
            executor.run_all().unwrap();
            let got = executor.read(y);
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{grad:?}: {got:?}");
        }
    }

    /// As in Apex, which neither scales nor decays then.
    #[test]
    fn larc_is_plain_sgd_where_weight_or_gradient_is_0() {
        assert_eq!(after_larc([0.0, 0.0], [3.0, -4.0], (0.5, false)), [-1.5, 2.0]);
        assert_eq!(after_larc([3.0, -4.0], [0.0, 0.0], (0.5, false)), [3.0, -4.0]);
    }

    /// A warm-up starts with it, and zero-initialised batch norms with a zero tensor.
    #[test]
    fn at_rate_0_nothing_moves() {
        for clip in [false, true] {
            for weight in [[0.0, 0.0], [3.0, -4.0]] {
                for grad in [[0.0, 0.0], [3.0, -4.0]] {
                    assert_eq!(after_larc(weight, grad, (0.0, clip)), weight);
                }
            }
        }
    }

    #[test]
    fn clipped_larc_is_never_faster_than_sgd() {
        let (weight, grad) = ([3.0, 4.0], [0.03, 0.04]);
        let check = |rate: f32, clip: bool, factor: f32| {
            let got = after_larc(weight, grad, (rate, clip));
            let want = [0, 1].map(|i| weight[i] - rate * factor * (grad[i] + 0.1 * weight[i]));
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?} {want:?}");
        };
        // |w| = 5, |g| = 0.05.
        let trust = 0.02 * 5.0 / (0.05 + 0.1 * 5.0);
        check(0.5, false, trust);
        check(0.5, true, trust / 0.5);
        check(0.1, false, trust);
        check(0.1, true, 1.0);
    }
}
