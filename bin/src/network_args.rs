//! Arguments that choose a network and its image preprocessing.

use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use carp::views::EvalTransform;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use datasets::Filter;
use evaluations::features::{Encoder, POOLED};
use evaluations::network_file::{NetworkFile, NetworkName};

use crate::device::DeviceArgs;
use crate::one_of::one_of;

/// A network and its image preprocessing.
#[derive(Args, Clone)]
pub struct NetworkArgs {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Which network in it; `pixels` uses raw pixels as features.
    #[arg(long, value_name = "NAME", default_value = "teacher", value_parser = network_name())]
    pub network: NetworkName,
    /// Prefix of torchvision's names, if it is not detected.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Stop at this layer (conv1, maxpool, layer1 to layer4, layer2.0, ...), averaged over its pixels.
    #[arg(long, value_name = "NAME", default_value = POOLED)]
    pub layer: String,
    /// Image preprocessing: that of the run's k-NN, or ImageNet's 256/224 (always, for third-party
    /// weights).
    #[arg(long, value_name = "NAME", value_enum, default_value = "run")]
    pub transform: TransformName,
    /// Length to which the short side is resized.
    #[arg(long, value_name = "PIXELS")]
    pub resize: Option<usize>,
    /// Side of the centre crop.
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// Resizing filter.
    #[arg(long, value_name = "NAME", value_enum, default_value = "bicubic")]
    pub filter: FilterName,
    /// Images per batch.
    #[arg(long, value_name = "B")]
    pub batch_size: Option<usize>,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Image preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransformName {
    /// That of the run's k-NN.
    Run,
    /// Short side 256, centre crop 224, ImageNet's mean and standard deviation.
    Imagenet,
}

/// Filters for resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FilterName {
    Bilinear,
    Bicubic,
}

impl FilterName {
    /// The name of a filter that evaluations resize with.
    pub fn of(filter: Filter) -> FilterName {
        match filter {
            Filter::Bilinear => FilterName::Bilinear,
            Filter::Bicubic => FilterName::Bicubic,
            Filter::Lanczos => unreachable!("evaluations shrink with it, before they resize"),
        }
    }
}

/// Parses the name of a network.
pub fn network_name() -> impl TypedValueParser<Value = NetworkName> {
    one_of(NetworkName::ALL, NetworkName::name)
}

impl NetworkArgs {
    /// A network of a checkpoint, all else at its default.
    pub fn new(checkpoint: &Path, network: NetworkName, device: DeviceArgs) -> NetworkArgs {
        NetworkArgs {
            checkpoint: checkpoint.to_owned(),
            network,
            prefix: None,
            layer: POOLED.to_owned(),
            transform: TransformName::Run,
            resize: None,
            size: None,
            filter: FilterName::Bicubic,
            batch_size: None,
            threads: 0,
            device,
        }
    }

    /// Opens the checkpoint.
    pub fn open(&self) -> Result<NetworkFile> {
        NetworkFile::open(&self.checkpoint, self.prefix.as_deref())
    }

    /// The image preprocessing.
    pub fn transform(&self, source: &NetworkFile) -> Result<EvalTransform> {
        let mut transform = match self.transform {
            TransformName::Run => source.transform()?,
            TransformName::Imagenet => {
                EvalTransform::imagenet(Filter::Bicubic, source.resnet()?.in_channels)
            }
        };
        transform.filter = match self.filter {
            FilterName::Bilinear => Filter::Bilinear,
            FilterName::Bicubic => Filter::Bicubic,
        };
        transform.size = self.size.unwrap_or(transform.size);
        transform.resize = self.resize.unwrap_or(transform.resize.max(transform.size));
        if transform.size == 0 || transform.size > transform.resize {
            let EvalTransform { size, resize, .. } = transform;
            return Err(Error::usage(format!(
                "--size is {size}, should be 1 to {resize} (--resize)"
            )));
        }
        Ok(transform)
    }

    /// `network`, ready to take images.
    pub fn encoder(&self, source: &mut NetworkFile, network: NetworkName) -> Result<Encoder> {
        let transform = self.transform(source)?;
        if network == NetworkName::Pixels {
            return Ok(Encoder::of_pixels(transform));
        }
        let default = source.config().map_or(64, |config| config.knn.batch_size);
        let batch = self.batch_size.unwrap_or(default);
        if batch == 0 {
            return Err(Error::usage("--batch-size is 0, should be at least 1".to_owned()));
        }
        let backbone = source.backbone(network)?;
        Encoder::new(&backbone, transform, &self.layer, batch, &self.device.open()?)
    }
}
