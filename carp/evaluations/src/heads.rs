//! Linear classifiers over the same features, trained together as one graph: one head per learning
//! rate.
//!
//! Features x `[B,D]`; head h has a weight `W_h [C,D]` and a bias `b_h [C]`. One product with all
//! weights, stacked, gives the logits `[B, H C]`, viewed as `[B H, C]` for the cross-entropy. Each
//! row weighs 1 / rows, or 0 beyond the end of a partial batch, so the sum over a head's rows is
//! its mean loss. The heads are independent: each gradient comes only from the head's own loss, and
//! LARS uses the norm of the head's own weight.

use autograd::{Executor, Graph, Passes, Phase, Value, cross_entropy_index};
use carp::error::{Error, Result};
use carp::learner::Device;
use carp::nn::{Init, Params};
use carp::optimizer::{Optimizer, OptimizerScalars, optimizer_step};

/// Standard deviation of the initial weights; biases start at 0 (docs/method.md, section 2).
const INIT_STD: f32 = 0.01;

/// What determines the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadsConfig {
    /// D, length of a feature vector.
    pub dim: usize,
    /// C.
    pub classes: usize,
    /// B, maximum rows per batch.
    pub batch: usize,
    /// H.
    pub heads: usize,
    /// LARS or SGD.
    pub optimizer: Optimizer,
    /// Weight decay; not for biases under LARS, as everywhere.
    pub weight_decay: f32,
}

/// The heads on a device.
pub struct Heads {
    executor: Executor,
    config: HeadsConfig,
    params: Params,
    features: Value,
    index: Value,
    row_weights: Value,
    rates: Vec<Value>,
    /// Initially zero, like all executor memory.
    momentum: Vec<Value>,
    logits: Value,
    losses: Value,
    /// Memory reused from step to step.
    scratch: (Vec<u32>, Vec<f32>),
}

impl Heads {
    /// Builds and plans the graph; weights are 0 until [`Heads::initialize`].
    ///
    /// # Errors
    /// A size of 0, or AdamW.
    pub fn new(config: &HeadsConfig, device: Device) -> Result<Heads> {
        let HeadsConfig { dim, classes, batch, heads, optimizer, weight_decay } = *config;
        let is_adamw = matches!(optimizer, Optimizer::AdamW(_));
        if is_adamw || [dim, classes, batch, heads].contains(&0) {
            let detail = format!("{config:?}: should have LARS or SGD, and no size of 0");
            return Err(Error::usage(detail));
        }
        let mut graph = Graph::new();
        let g = &mut graph;
        let features = g.input("features", [batch, dim]);
        let index = g.input_u32("index", [batch * heads]);
        let row_weights = g.input("row_weights", [batch * heads]);
        let correction = g.input("correction", [2]);
        let (decay, no_decay) = (g.input("weight_decay", [1]), g.input("no_decay", [1]));
        let mut params = Params::new(true);
        let (mut weights, mut biases, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for head in 0..heads {
            g.scope(&format!("head.{head}"), |g| {
                let init = Init::Normal(INIT_STD);
                weights.push(params.weight(g, "weight", [classes, dim], init));
                biases.push(params.weight(g, "bias", [classes], Init::Constant(0.0)));
                rates.push(g.input("lr", [1]));
            });
        }
        let (all_weights, all_biases) = (g.concat_rows(&weights)?, g.concat_rows(&biases)?);
        let stacked = g.linear(features, all_weights, Some(all_biases))?;
        let logits = g.reshape(stacked, [batch * heads, classes])?;
        g.keep(logits);
        let row_losses = g.cross_entropy(logits, index)?;
        let weighted = g.mul(row_losses, row_weights)?;
        let by_head = g.reshape(weighted, [batch, heads])?;
        let losses = g.sum_rows(by_head);
        g.keep(losses);
        let loss = g.sum(losses);
        g.fuse(&Passes::all());

        let seed = g.in_phase(Phase::Backward, |g| g.fill([1], 1.0));
        let trained: Vec<Value> = weights.iter().chain(&biases).copied().collect();
        let grads = g.backward(&[(loss, seed)], &trained)?;
        let decays_biases = !matches!(optimizer, Optimizer::Lars { .. });
        let mut momentum = Vec::new();
        g.in_phase(Phase::Update, |g| -> Result<()> {
            for (i, (&value, grad)) in trained.iter().zip(grads).enumerate() {
                let decays = i < heads || decays_biases;
                let scalars = OptimizerScalars {
                    lr: rates[i % heads],
                    weight_decay: if decays { decay } else { no_decay },
                    correction,
                };
                let grad = grad.expect("every head reaches the loss");
                optimizer_step(g, optimizer, scalars, value, grad, &mut momentum)?;
            }
            Ok(())
        })?;
        g.fuse(&Passes::all());
        let mut executor = Executor::new(graph, device)?;
        executor.write(decay, &[weight_decay]);
        executor.write(no_decay, &[0.0]);
        Ok(Heads {
            executor,
            config: config.clone(),
            params,
            features,
            index,
            row_weights,
            rates,
            momentum,
            logits,
            losses,
            scratch: Default::default(),
        })
    }

    /// Draws the weights, the same for all heads: they differ only in learning rate.
    pub fn initialize(&mut self, seed: u64) {
        let HeadsConfig { dim, classes, heads, .. } = self.config;
        let weight = self.params.initial(0, classes * dim, seed);
        let bias = self.params.initial(1, classes, seed);
        for head in 0..heads {
            self.set(head, &weight, &bias);
        }
    }

    /// Sets a head's weight `[C,D]` and bias `[C]`, and resets its momentum.
    ///
    /// # Panics
    /// If sizes differ, or there is no such head.
    pub fn set(&mut self, head: usize, weight: &[f32], bias: &[f32]) {
        let [w, b] = self.values(head);
        self.executor.write(w, weight);
        self.executor.write(b, bias);
        // State is in update order: all weights, then all biases.
        let per_tensor = self.momentum.len() / (2 * self.config.heads);
        for (tensor, len) in [(head, weight.len()), (self.config.heads + head, bias.len())] {
            for &state in &self.momentum[tensor * per_tensor..(tensor + 1) * per_tensor] {
                self.executor.write(state, &vec![0.0; len]);
            }
        }
    }

    /// A head's weight `[C,D]` and bias `[C]`.
    pub fn get(&mut self, head: usize) -> (Vec<f32>, Vec<f32>) {
        let [w, b] = self.values(head);
        (self.executor.read(w), self.executor.read(b))
    }

    fn values(&self, head: usize) -> [Value; 2] {
        let params = self.params.all();
        [params[2 * head].value, params[2 * head + 1].value]
    }

    /// One update of every head with its own learning rate, on features `[rows,D]` with these
    /// classes. Returns the mean loss of each head before the update, in nats.
    ///
    /// # Errors
    /// A device fault.
    ///
    /// # Panics
    /// If sizes do not fit or a label is out of range.
    pub fn step(&mut self, features: &[f32], labels: &[u32], lr: &[f32]) -> Result<Vec<f32>> {
        let HeadsConfig { classes, batch, heads, .. } = self.config;
        let rows = labels.len();
        self.write_features(features, rows);
        let (index, weights) = &mut self.scratch;
        // Missing rows are class 0 with weight 0.
        let all = labels.iter().copied().chain(std::iter::repeat_n(0, batch - rows));
        *index = cross_entropy_index(classes, all.flat_map(|c| std::iter::repeat_n(c, heads)));
        weights.clear();
        weights.resize(rows * heads, 1.0 / rows as f32);
        weights.resize(batch * heads, 0.0);
        self.executor.write_u32(self.index, index);
        self.executor.write(self.row_weights, weights);
        for (&rate, &lr) in self.rates.iter().zip(lr) {
            self.executor.write(rate, &[lr]);
        }
        self.executor.run_all()?;
        Ok(self.executor.read(self.losses))
    }

    /// Logits `[rows,H,C]` of features `[rows,D]`, for any number of rows.
    ///
    /// # Errors
    /// A device fault.
    ///
    /// # Panics
    /// If features are not a whole number of rows.
    pub fn logits(&mut self, features: &[f32]) -> Result<Vec<f32>> {
        let HeadsConfig { dim, classes, batch, heads, .. } = self.config;
        assert!(features.len().is_multiple_of(dim), "features of another length");
        let mut logits = Vec::with_capacity(features.len() / dim * heads * classes);
        for part in features.chunks(batch * dim) {
            let rows = part.len() / dim;
            self.write_features(part, rows);
            self.executor.run(Phase::Forward)?;
            let all = self.executor.read(self.logits);
            logits.extend_from_slice(&all[..rows * heads * classes]);
        }
        Ok(logits)
    }

    fn write_features(&mut self, features: &[f32], rows: usize) {
        let HeadsConfig { dim, batch, .. } = self.config;
        assert!(rows <= batch && features.len() == rows * dim, "features [{rows},{dim}]");
        self.executor.write_part(self.features, 0, features);
    }
}
