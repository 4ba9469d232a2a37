//! A network with a linear classifier: one fine-tuning step as a graph.
//!
//! The backbone, with batch norms on batch statistics, then a linear layer `fc`; mean
//! cross-entropy; SGD with momentum, with one learning rate for the backbone and one for `fc`.

use autograd::{Executor, Graph, Passes, Phase, Value, cross_entropy_index};
use carp::error::Result;
use carp::learner::Device;
use carp::nn::layers::Linear;
use carp::nn::{Init, Params, ResNet, ResNetConfig};
use carp::optimizer::{Optimizer, OptimizerScalars, optimizer_step};

/// Standard deviation of the classifier's initial weights; its biases start at 0.
const INIT_STD: f32 = 0.01;

/// What determines the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct FineTunerConfig {
    /// The backbone.
    pub resnet: ResNetConfig,
    /// Classes.
    pub classes: usize,
    /// B, images in a batch.
    pub batch: usize,
    /// S, side of the images.
    pub size: usize,
    /// Momentum.
    pub momentum: f32,
    /// Weight decay of all tensors, as in PyTorch.
    pub weight_decay: f32,
}

/// The network on a device.
pub struct FineTuner {
    executor: Executor,
    config: FineTunerConfig,
    params: Params,
    images: Value,
    index: Value,
    rates: [Value; 2],
    loss: Value,
}

impl FineTuner {
    /// Builds and plans the step; weights are 0 until [`FineTuner::load`] and
    /// [`FineTuner::initialize`].
    ///
    /// # Errors
    /// Images too small for the backbone, or a batch too small for batch norm.
    pub fn new(config: &FineTunerConfig, device: Device) -> Result<FineTuner> {
        let FineTunerConfig { resnet, classes, batch, size, momentum, weight_decay } = *config;
        let mut graph = Graph::new();
        let g = &mut graph;
        let mut params = Params::new(true);
        let backbone = ResNet::new(g, &mut params, &resnet);
        let in_backbone = params.weights().count();
        let (weight, bias) = (Init::Normal(INIT_STD), Some(Init::Constant(0.0)));
        let fc = Linear::new(g, &mut params, "fc", (resnet.features(), classes), weight, bias);
        let images = g.input("images", [batch, size, size, resnet.in_channels]);
        let index = g.input_u32("index", [batch]);
        let rates = ["lr.backbone", "lr.fc"].map(|name| g.input(name, [1]));
        let (decay, correction) = (g.input("weight_decay", [1]), g.input("correction", [2]));

        let features = backbone.forward(g, images, true)?;
        let logits = fc.forward(g, features)?;
        let losses = g.cross_entropy(logits, index)?;
        let loss = g.mean(losses);
        g.keep(loss);
        g.fuse(&Passes::all());
        let seed = g.in_phase(Phase::Backward, |g| g.fill([1], 1.0));
        let weights: Vec<Value> = params.weights().map(|param| param.value).collect();
        let grads = g.backward(&[(loss, seed)], &weights)?;
        g.in_phase(Phase::Update, |g| -> Result<()> {
            let mut state = Vec::new();
            for (i, (&weight, grad)) in weights.iter().zip(grads).enumerate() {
                let lr = rates[usize::from(i >= in_backbone)];
                let scalars = OptimizerScalars { lr, weight_decay: decay, correction };
                let grad = grad.expect("every weight reaches the loss");
                let sgd = Optimizer::Sgd { momentum };
                optimizer_step(g, sgd, scalars, weight, grad, &mut state)?;
            }
            Ok(())
        })?;
        g.fuse(&Passes::all());
        let mut executor = Executor::new(graph, device)?;
        executor.write(decay, &[weight_decay]);
        Ok(FineTuner { executor, config: config.clone(), params, images, index, rates, loss })
    }

    /// Sets tensors by torchvision's names (`fc.weight` and `fc.bias` are the classifier's), in this
    /// project's layout.
    ///
    /// # Panics
    /// If there is no such tensor, or its size differs.
    pub fn load(&mut self, tensors: &[(String, Vec<f32>)]) {
        for (name, data) in tensors {
            let mut params = self.params.all().iter();
            let named = params.find(|param| self.executor.graph().info(param.value).name == *name);
            let value = named.unwrap_or_else(|| panic!("no tensor {name}")).value;
            self.executor.write(value, data);
        }
    }

    /// Draws the classifier's weights.
    pub fn initialize(&mut self, seed: u64) {
        let all = self.params.all().len();
        for index in [all - 2, all - 1] {
            let value = self.params.all()[index].value;
            let elements = self.executor.graph().shape(value).elements();
            let data = self.params.initial(index, elements, seed);
            self.executor.write(value, &data);
        }
    }

    /// All tensors by torchvision's names, in this project's layout; the last two are `fc.weight`
    /// `[C,F]` and `fc.bias` `[C]`.
    pub fn tensors(&mut self) -> Vec<(String, Vec<f32>)> {
        let mut tensors = Vec::new();
        for param in self.params.all() {
            let name = self.executor.graph().info(param.value).name.clone();
            tensors.push((name, self.executor.read(param.value)));
        }
        tensors
    }

    /// One update on images `[B,S,S,C]` with these classes, with the learning rates of backbone and
    /// classifier. Returns the mean loss before it, in nats.
    ///
    /// # Errors
    /// A device fault.
    ///
    /// # Panics
    /// If sizes do not fit or a label is out of range.
    pub fn step(&mut self, images: &[f32], labels: &[u32], lr: [f32; 2]) -> Result<f32> {
        let index = cross_entropy_index(self.config.classes, labels.iter().copied());
        self.executor.write(self.images, images);
        self.executor.write_u32(self.index, &index);
        for (value, lr) in self.rates.into_iter().zip(lr) {
            self.executor.write(value, &[lr]);
        }
        self.executor.run_all()?;
        Ok(self.executor.scalar(self.loss))
    }
}
