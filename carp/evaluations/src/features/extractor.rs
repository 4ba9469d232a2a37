//! A frozen backbone in inference mode.

use std::borrow::Cow;

use autograd::{Executor, FoldedNorm, Graph, Passes, Phase, Plan, Value};
use carp::error::{Error, Result};
use carp::learner::Device;
use carp::nn::{Params, ResNet, ResNetConfig};

/// A layer of a backbone, and how its map becomes features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer<'a> {
    /// As in [`ResNet::forward_to`], or [`POOLED`]'s: the last one.
    pub name: &'a str,
    /// G: the features are the means of G x G cells of the map, row by row (Goyal et al., 2019); 1 for
    /// the mean of all its pixels.
    pub grid: usize,
}

/// The last layer's global average pool.
pub const POOLED: Layer = Layer { name: "avgpool", grid: 1 };

/// A backbone without gradients, whose batch norms use the running statistics and are folded into
/// the convolutions.
pub struct FeatureExtractor {
    executor: Executor,
    tensors: Vec<(String, Value)>,
    folded: Vec<FoldedNorm>,
    images: Value,
    features: Value,
    batch: usize,
}

impl FeatureExtractor {
    /// A backbone for batches of `batch` images of `size` x `size` pixels, with its average pool.
    ///
    /// # Errors
    /// Images too small for the backbone; errors of `device`.
    pub fn new(
        config: &ResNetConfig,
        batch: usize,
        size: usize,
        device: Device,
    ) -> Result<FeatureExtractor> {
        FeatureExtractor::of_layer(config, batch, (size, size), POOLED, device)
    }

    /// As [`FeatureExtractor::new`], for images of (height, width), of any layer.
    ///
    /// # Errors
    /// Images too small for the backbone, an unknown layer, or more cells than its map has pixels.
    pub fn of_layer(
        config: &ResNetConfig,
        batch: usize,
        (height, width): (usize, usize),
        layer: Layer,
        device: Device,
    ) -> Result<FeatureExtractor> {
        let Network { graph, params, folded, images, features } =
            Network::new(config, batch, (height, width), layer, device)?;
        let name = |value: Value| (graph.info(value).name.clone(), value);
        let tensors = params.all().iter().map(|param| name(param.value)).collect();
        let executor = Executor::new(graph, device)?;
        Ok(FeatureExtractor { executor, tensors, folded, images, features, batch })
    }

    /// Bytes that the extractor of [`FeatureExtractor::new`] takes on the device and for a batch of
    /// images, and the length of a feature vector; opens nothing.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn planned(
        config: &ResNetConfig,
        batch: usize,
        size: usize,
        device: Device,
    ) -> Result<(usize, usize)> {
        let Network { graph, images, features, .. } =
            Network::new(config, batch, (size, size), POOLED, device)?;
        let pixels = size_of::<f32>() * graph.shape(images).elements();
        Ok((Plan::new(&graph, device).bytes() + pixels, graph.shape(features)[1]))
    }

    /// Sets the weights: pairs of torchvision's names and numbers in this project's layout.
    ///
    /// # Errors
    /// A missing tensor.
    pub fn load(&mut self, backbone: &[(String, Vec<f32>)]) -> Result<()> {
        let find = |name: &str| backbone.iter().find(|(given, _)| given == name);
        self.load_from(|name| find(name).map(|(_, data)| Cow::from(data)))
    }

    /// As [`FeatureExtractor::load`], from the tensors that `tensor` gives by their names.
    ///
    /// # Errors
    /// A missing tensor.
    pub fn load_from<'t>(
        &mut self,
        mut tensor: impl FnMut(&str) -> Option<Cow<'t, [f32]>>,
    ) -> Result<()> {
        for (name, value) in &self.tensors {
            let lacks = || Error::usage(format!("the backbone's weights lack {name}"));
            self.executor.write(*value, &tensor(name).ok_or_else(lacks)?);
        }
        for folded in &self.folded {
            let norm = folded.norm;
            let tensors = [norm.weight, norm.bias, norm.running_mean, norm.running_var];
            let [scale, shift, mean, var] = tensors.map(|value| self.executor.read(value));
            let weight = self.executor.read(folded.weight);
            let (weight, bias) = folded.fold(&weight, [&scale, &shift, &mean, &var]);
            self.executor.write(folded.weight, &weight);
            self.executor.write(norm.bias, &bias);
        }
        Ok(())
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        4 * self.executor.plan().total
    }

    /// The length of a feature vector.
    pub fn dim(&self) -> usize {
        self.executor.graph().shape(self.features)[1]
    }

    /// Features `[count, dim]` of `count` images; `prepare(first, pixels)` writes the images from
    /// number `first` on into `pixels`, which has room for the rest of a batch.
    ///
    /// # Errors
    /// Those of `prepare`; a device fault.
    pub fn extract(
        &mut self,
        count: usize,
        mut prepare: impl FnMut(usize, &mut [f32]) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let dim = self.dim();
        let image = self.executor.graph().shape(self.images).elements() / self.batch;
        let mut pixels = vec![0.0; self.batch * image];
        let mut features = vec![0.0; self.batch * dim];
        let mut all = Vec::with_capacity(count * dim);
        for first in (0..count).step_by(self.batch) {
            let rows = self.batch.min(count - first);
            prepare(first, &mut pixels[..rows * image])?;
            self.executor.write(self.images, &pixels);
            self.executor.run(Phase::Forward)?;
            self.executor.read_into(self.features, &mut features);
            self.executor.finish()?;
            all.extend_from_slice(&features[..rows * dim]);
        }
        Ok(all)
    }
}

/// A backbone up to a layer.
struct Network {
    graph: Graph,
    params: Params,
    folded: Vec<FoldedNorm>,
    images: Value,
    features: Value,
}

impl Network {
    fn new(
        config: &ResNetConfig,
        batch: usize,
        (height, width): (usize, usize),
        layer: Layer,
        device: Device,
    ) -> Result<Network> {
        let (mut graph, mut params) = (Graph::new(), Params::new(false));
        let resnet = ResNet::new(&mut graph, &mut params, config);
        let images = graph.input("images", [batch, height, width, config.in_channels]);
        let features = if layer == POOLED {
            resnet.forward(&mut graph, images, false)?
        } else {
            let name = if layer.name == POOLED.name { "layer4" } else { layer.name };
            let map = resnet.forward_to(&mut graph, images, name, false)?;
            cells(&mut graph, map, layer)?
        };
        graph.keep(features);
        graph.fuse(&Passes::all());
        let folded = graph.fold_batch_norms();
        graph.halve(device);
        Ok(Network { graph, params, folded, images, features })
    }
}

/// A map `[N,P,P,F]` to the means of G x G equal windows that cover it, `[N,G*G*F]`; neighbours
/// overlap where G does not divide P.
///
/// # Errors
/// A map that is no square or has less than G pixels a side.
fn cells(graph: &mut Graph, map: Value, Layer { name, grid }: Layer) -> Result<Value> {
    let [images, height, width, channels] = graph.shape(map)[..] else {
        unreachable!("maps are [N,P,Q,F]")
    };
    if grid == 1 {
        return Ok(graph.global_avg_pool(map)?);
    }
    if height != width || !(1..=height).contains(&grid) {
        let detail = format!("{grid} x {grid} cells of the {height} x {width} map of {name}");
        return Err(Error::usage(format!("{detail}: choose 1 to {}", height.min(width))));
    }
    let stride = height / grid;
    let means = graph.avg_pool2d(map, height - (grid - 1) * stride, stride, 0)?;
    Ok(graph.reshape(means, [images, grid * grid * channels])?)
}
