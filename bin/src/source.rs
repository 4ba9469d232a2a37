//! Arguments that say which network looks at which pictures, shared by commands.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use carp::config::Config;
use carp::data::{DataConfig, Dataset, Reading, catalogue};
use carp::error::{Error, Result};
use carp::eval::all::box_of;
use carp::features::{Encoder, NetworkName, POOLED, Source};
use carp::views::{Crop, EvalTransform, Filter};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::device::DeviceArgs;

/// A network and how it looks at pictures.
#[derive(Args, Clone)]
pub struct NetworkArgs {
    /// A run folder, a checkpoint, or weights of others: safetensors, or .pth of PyTorch.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Which network of it; `pixels` takes the pixels for features.
    #[arg(long, value_name = "NAME", default_value = "teacher", value_parser = network_name())]
    pub network: NetworkName,
    /// What stands before torchvision's names, where it is not found by itself.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Stop at this layer (conv1, maxpool, layer1 to layer4, layer2.0, ...), averaged over its pixels.
    #[arg(long, value_name = "NAME", default_value = POOLED)]
    pub layer: String,
    /// How pictures are prepared: as the run's k-NN did, or ImageNet's 256/224. With weights of
    /// others always the latter.
    #[arg(long, value_enum, default_value = "run")]
    pub transform: TransformName,
    /// Short side that pictures are resized to.
    #[arg(long, value_name = "PIXELS")]
    pub resize: Option<usize>,
    /// Side of the square in the middle that the network sees.
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// How pictures are resized.
    #[arg(long, value_enum, default_value = "bicubic")]
    pub filter: FilterName,
    /// Pictures that the network sees at once.
    #[arg(long, value_name = "B")]
    pub batch_size: Option<usize>,
    /// Threads; 0 is one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Preparations of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TransformName {
    /// As the run's k-NN did.
    Run,
    /// Short side 256, the middle 224, ImageNet's mean and deviation.
    Imagenet,
}

/// Filters for resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FilterName {
    Bilinear,
    Bicubic,
}

/// Knows the networks by their names.
pub fn network_name() -> impl TypedValueParser<Value = NetworkName> {
    PossibleValuesParser::new(NetworkName::ALL.map(NetworkName::name)).map(|given| {
        let is_given = |name: &NetworkName| name.name() == given;
        NetworkName::ALL.into_iter().find(is_given).expect("one of the possible values")
    })
}

impl NetworkArgs {
    /// A network of a checkpoint with nothing else said.
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
    pub fn open(&self) -> Result<Source> {
        Source::open(&self.checkpoint, self.prefix.as_deref())
    }

    /// How pictures are prepared.
    pub fn transform(&self, source: &Source) -> Result<EvalTransform> {
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
            return Err(Error::Usage(format!(
                "--size is {size}, should be 1 to --resize = {resize}"
            )));
        }
        Ok(transform)
    }

    /// The network, ready for pictures; `network` in place of the one asked for, if given.
    pub fn encoder(&self, source: &mut Source, network: NetworkName) -> Result<Encoder> {
        let transform = self.transform(source)?;
        if network == NetworkName::Pixels {
            return Ok(Encoder::of_pixels(transform));
        }
        let default = source.config().map_or(64, |config| config.knn.batch_size);
        let batch = self.batch_size.unwrap_or(default);
        if batch == 0 {
            return Err(Error::Usage("--batch-size is 0, should be at least 1".to_owned()));
        }
        let backbone = source.backbone(network)?;
        Encoder::new(&backbone, transform, &self.layer, batch, &self.device.open()?)
    }
}

/// Pictures.
#[derive(Args, Clone)]
pub struct DataArgs {
    /// The data of this preset in place of the run's own.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// One of the paper's data sets (`carp data list`) in place of the run's own; --data names its
    /// folder.
    #[arg(long, value_name = "NAME", requires = "data", conflicts_with = "preset")]
    pub dataset: Option<String>,
    /// The folder with the data.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Make an unreadable image an error instead of skipping it.
    #[arg(long)]
    pub strict: bool,
}

impl DataArgs {
    /// Which data, and the seed that built-in data is made with.
    pub fn config(&self, source: &Source) -> Result<(DataConfig, u64)> {
        let config = match (&self.preset, source.config()) {
            (Some(preset), _) => Config::load(preset, &[])?,
            (None, Some(config)) => config.clone(),
            // Of weights of others nothing is known: a folder of images.
            (None, None) => Config::default(),
        };
        let mut data = config.data;
        if let Some(name) = &self.dataset {
            let kind = catalogue::of_name(name)?.kind;
            data = DataConfig { kind, ..DataConfig::default() };
        }
        if self.data.is_some() {
            data.path.clone_from(&self.data);
        }
        data.strict |= self.strict;
        Ok((data, config.seed))
    }

    /// One split: train, test, pretrain, or what a data set of the paper calls its own.
    pub fn open(&self, source: &Source, split: &str) -> Result<Arc<dyn Dataset>> {
        let (data, seed) = self.config(source)?;
        if let Some(set) = catalogue::of_kind(data.kind) {
            let name = match split {
                "train" if !set.train.is_empty() => data.train.as_deref().unwrap_or(set.train),
                "test" if !set.test.is_empty() => data.test.as_deref().unwrap_or(set.test),
                "pretrain" => set.pretrain,
                other => other,
            };
            let reading = Reading { strict: data.strict, cache: 0 };
            return set.contents(&data)?.dataset(name, reading);
        }
        let splits = data.open(seed)?;
        let name = splits.pretrain.name().to_owned();
        let found = match split {
            "train" => splits.train,
            "test" => splits.test,
            "pretrain" => Some(splits.pretrain),
            _ => {
                let detail = format!("split {split:?}: {name} has train, test and pretrain");
                return Err(Error::Usage(detail));
            }
        };
        found.ok_or_else(|| {
            Error::Usage(format!("{name} has no labelled split {split}; there is pretrain"))
        })
    }

    /// The query boxes of a retrieval data set.
    pub fn query_boxes(&self, source: &Source) -> Result<Vec<Crop>> {
        let (data, _) = self.config(source)?;
        let queries = match catalogue::of_kind(data.kind) {
            Some(set) => set.contents(&data)?.queries,
            None => vec![],
        };
        if queries.is_empty() {
            let detail = "--query-boxes is for split `queries` of roxford5k and rparis6k";
            return Err(Error::Usage(detail.to_owned()));
        }
        Ok(queries.iter().map(box_of).collect())
    }
}

/// A bar that counts images; without a terminal nothing.
pub struct ImageBar {
    bar: ProgressBar,
    start: Instant,
    images: usize,
}

impl ImageBar {
    /// A bar of so many images; `what` stands before it.
    pub fn new(what: &str, images: usize) -> ImageBar {
        let bar = ProgressBar::new(images as u64).with_message(what.to_owned());
        let style = "{msg}  {bar:24} {pos}/{len}  {per_sec}  ETA {eta}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        ImageBar { bar, start: Instant::now(), images }
    }

    /// So many are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// Takes the bar away; images per second.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.images as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}
