//! ResNet-18, -34 and -50 (He et al., 2016) with torchvision's names, without the classifier.
//!
//! Stem, four stages of residual blocks with widths `width * (1, 2, 4, 8)`, global average pool.
//! A basic block is `relu(bn(conv3x3(relu(bn(conv3x3(x))))) + x)`; a bottleneck block is 1x1, 3x3,
//! 1x1 with four times the width at its end, the stride in the 3x3. Where size or channels change,
//! the shortcut is a 1x1 convolution with batch norm.

use autograd::{Error, Graph, Result, Value};
use serde::{Deserialize, Serialize};

use super::layers::{BatchNorm, Conv};
use super::params::Params;

/// Depth and block type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// Basic blocks 2, 2, 2, 2.
    ResNet18,
    /// Basic blocks 3, 4, 6, 3.
    ResNet34,
    /// Bottleneck blocks 3, 4, 6, 3.
    ResNet50,
}

impl Arch {
    /// Name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Arch::ResNet18 => "resnet18",
            Arch::ResNet34 => "resnet34",
            Arch::ResNet50 => "resnet50",
        }
    }

    /// Residual blocks of each stage.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Arch::ResNet18 => [2, 2, 2, 2],
            Arch::ResNet34 | Arch::ResNet50 => [3, 4, 6, 3],
        }
    }

    /// Channels at the end of a block over its width.
    pub fn expansion(self) -> usize {
        match self {
            Arch::ResNet18 | Arch::ResNet34 => 1,
            Arch::ResNet50 => 4,
        }
    }
}

/// The layers before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 7x7 convolution of stride 2 and 3x3 max-pool of stride 2, for images of 224 pixels.
    ImageNet,
    /// 3x3 convolution of stride 1, no max-pool, for images of 32 pixels.
    Cifar,
}

/// Sizes of a ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Depth and block type.
    pub arch: Arch,
    /// Stem.
    pub stem: Stem,
    /// Channels of the first stage; 64 is the published size.
    pub width: usize,
    /// Channels of the images.
    pub in_channels: usize,
    /// Start every block as the identity: scale 0 in its last batch norm.
    pub zero_init_residual: bool,
}

impl ResNetConfig {
    /// The length of a feature vector.
    pub fn features(&self) -> usize {
        8 * self.width * self.arch.expansion()
    }
}

/// A convolution followed by batch norm.
struct ConvBn(Conv, BatchNorm);

impl ConvBn {
    fn forward(&self, graph: &mut Graph, x: Value, training: bool) -> Result<Value> {
        let y = self.0.forward(graph, x)?;
        self.1.forward(graph, y, training)
    }
}

struct Block {
    name: String,
    path: Vec<ConvBn>,
    downsample: Option<ConvBn>,
}

impl Block {
    fn new(
        graph: &mut Graph,
        params: &mut Params,
        name: &str,
        config: &ResNetConfig,
        (inputs, width, stride): (usize, usize, usize),
    ) -> Block {
        let outputs = width * config.arch.expansion();
        // (inputs, outputs), (kernel, stride, padding) of the convolutions on the path.
        let convs = match config.arch {
            Arch::ResNet18 | Arch::ResNet34 => {
                vec![((inputs, width), (3, stride, 1)), ((width, width), (3, 1, 1))]
            }
            Arch::ResNet50 => vec![
                ((inputs, width), (1, 1, 0)),
                ((width, width), (3, stride, 1)),
                ((width, outputs), (1, 1, 0)),
            ],
        };
        graph.scope(name, |graph| {
            let last = convs.len();
            let path = (1..)
                .zip(convs)
                .map(|(i, (channels, window))| {
                    let gamma = if i == last && config.zero_init_residual { 0.0 } else { 1.0 };
                    ConvBn(
                        Conv::new(graph, params, &format!("conv{i}"), channels, window),
                        BatchNorm::new(graph, params, &format!("bn{i}"), channels.1, gamma),
                    )
                })
                .collect();
            let downsample = (stride != 1 || inputs != outputs).then(|| {
                let (channels, window) = ((inputs, outputs), (1, stride, 0));
                ConvBn(
                    Conv::new(graph, params, "downsample.0", channels, window),
                    BatchNorm::new(graph, params, "downsample.1", outputs, 1.0),
                )
            });
            Block { name: name.to_owned(), path, downsample }
        })
    }

    fn forward(&self, graph: &mut Graph, x: Value, training: bool) -> Result<Value> {
        graph.scope(&self.name, |graph| {
            let (last, first) = self.path.split_last().expect("a block has convolutions");
            let mut y = x;
            for conv in first {
                y = conv.forward(graph, y, training)?;
                y = graph.relu(y);
            }
            let shortcut = match &self.downsample {
                Some(downsample) => downsample.forward(graph, x, training)?,
                None => x,
            };
            y = last.forward(graph, y, training)?;
            y = graph.add(y, shortcut)?;
            Ok(graph.relu(y))
        })
    }
}

/// A ResNet's layers.
pub struct ResNet {
    stem: ConvBn,
    max_pool: bool,
    blocks: Vec<Block>,
}

impl ResNet {
    /// Adds the tensors of a ResNet.
    pub fn new(graph: &mut Graph, params: &mut Params, config: &ResNetConfig) -> ResNet {
        let (width, window) = match config.stem {
            Stem::ImageNet => (config.width, (7, 2, 3)),
            Stem::Cifar => (config.width, (3, 1, 1)),
        };
        let stem = ConvBn(
            Conv::new(graph, params, "conv1", (config.in_channels, width), window),
            BatchNorm::new(graph, params, "bn1", width, 1.0),
        );
        let mut blocks = Vec::new();
        let mut inputs = width;
        for (stage, count) in config.arch.blocks().into_iter().enumerate() {
            let width = config.width << stage;
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                let sizes = (inputs, width, stride);
                blocks.push(Block::new(graph, params, &name, config, sizes));
                inputs = width * config.arch.expansion();
            }
        }
        ResNet { stem, max_pool: config.stem == Stem::ImageNet, blocks }
    }

    /// Images `[N,H,W,C]` to features `[N,F]`.
    ///
    /// # Errors
    /// Images with other channels, or training with only one value per channel left.
    pub fn forward(&self, graph: &mut Graph, images: Value, training: bool) -> Result<Value> {
        let x = self.forward_to(graph, images, "layer4", training)?;
        graph.scope("avgpool", |graph| graph.global_avg_pool(x))
    }

    /// Images `[N,H,W,C]` to the output of the named layer, `[N,P,Q,F]`: `conv1` (after its batch
    /// norm and ReLU), `maxpool`, a stage such as `layer3` or a block such as `layer3.0`.
    ///
    /// # Errors
    /// As [`ResNet::forward`]; no layer of this name.
    pub fn forward_to(
        &self,
        graph: &mut Graph,
        images: Value,
        layer: &str,
        training: bool,
    ) -> Result<Value> {
        let depth = match layer {
            "conv1" | "maxpool" => 0,
            _ => self.blocks_to(layer).ok_or_else(|| {
                let known =
                    "conv1, maxpool, layer1 to layer4, a block such as layer1.0, or avgpool";
                Error::setting("layer", format!("the network has no {layer}; it has {known}"))
            })?,
        };
        let mut x = self.stem.forward(graph, images, training)?;
        x = graph.relu(x);
        if self.max_pool && layer != "conv1" {
            x = graph.scope("maxpool", |graph| graph.max_pool2d(x, 3, 2, 1))?;
        }
        for block in &self.blocks[..depth] {
            x = block.forward(graph, x, training)?;
        }
        Ok(x)
    }

    /// Images `[N,H,W,C]` to the outputs of several stages or blocks, in one pass.
    ///
    /// # Errors
    /// As [`ResNet::forward`]; no layer of a name.
    pub fn maps(
        &self,
        graph: &mut Graph,
        images: Value,
        layers: &[String],
        training: bool,
    ) -> Result<Vec<Value>> {
        let depth = |layer: &String| {
            self.blocks_to(layer).ok_or_else(|| {
                let known = "layer1 to layer4, or a block such as layer1.0";
                let detail = format!("the network has no map of {layer}; it has those of {known}");
                Error::setting("method.layers", detail)
            })
        };
        let depths: Vec<usize> = layers.iter().map(depth).collect::<Result<_>>()?;
        let mut outputs = vec![self.forward_to(graph, images, "maxpool", training)?];
        for block in &self.blocks[..depths.iter().copied().max().unwrap_or(0)] {
            let x = outputs[outputs.len() - 1];
            outputs.push(block.forward(graph, x, training)?);
        }
        Ok(depths.into_iter().map(|depth| outputs[depth]).collect())
    }

    /// How many blocks there are up to the last one of this stage, or up to the block of this name.
    fn blocks_to(&self, layer: &str) -> Option<usize> {
        let is_there = |name: &str| {
            name == layer || name.rsplit_once('.').is_some_and(|(stage, _)| stage == layer)
        };
        let last = self.blocks.iter().rposition(|block| is_there(&block.name));
        last.map(|last| last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(arch: Arch, stem: Stem) -> (usize, usize) {
        let (mut graph, mut params) = (Graph::new(), Params::new(true));
        let config =
            ResNetConfig { arch, stem, width: 64, in_channels: 3, zero_init_residual: true };
        let resnet = ResNet::new(&mut graph, &mut params, &config);
        let images = graph.input("images", [2, 64, 64, 3]);
        let features = resnet.forward(&mut graph, images, true).unwrap();
        assert_eq!(graph.shape(features)[..], [2, config.features()]);
        let numbers = params.weights().map(|p| graph.shape(p.value).elements()).sum();
        (params.all().len(), numbers)
    }

    /// torchvision's state dicts without `fc` and `num_batches_tracked`: number of tensors, and of
    /// trained numbers (published: 11,689,512, 21,797,672 and 25,557,032 with `fc`).
    #[test]
    fn sizes_are_torchvisions() {
        assert_eq!(count(Arch::ResNet18, Stem::ImageNet), (100, 11_689_512 - 513_000));
        assert_eq!(count(Arch::ResNet34, Stem::ImageNet), (180, 21_797_672 - 513_000));
        assert_eq!(count(Arch::ResNet50, Stem::ImageNet), (265, 25_557_032 - 2_049_000));
    }
}
