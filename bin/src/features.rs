//! `carp features`: image features as a file, for the evaluations or for other programs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use carp::error::{Error, Result};
use carp::views::EvalTransform;
use clap::{Args, ValueEnum};
use datasets::{Change, Changed, Dataset, Filter, Labels};
use evaluations::features::{AnySize, FeatureSet, POOLED, SCALES};
use evaluations::network_file::{NetworkFile, NetworkName};

use crate::bars::ImageBar;
use crate::data_args::DataArgs;
use crate::limits::{SIDE, within};
use crate::network_args::{NetworkArgs, batch_size, check_features};
use crate::outputs::check_outputs;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct FeaturesArgs {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    checkpoint: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Stop at this layer (conv1 with its batch norm and ReLU, maxpool, layer1 to layer4, layer2.0,
    /// ...), averaged over its pixels or the cells of --grid.
    #[arg(long, value_name = "NAME", default_value = POOLED.name)]
    #[arg(conflicts_with_all = ["fit", "multi_scale"])]
    layer: String,
    /// Image preprocessing: that of the run's k-NN, or ImageNet's 256/224 (always, for third-party
    /// weights).
    #[arg(long, value_name = "NAME", value_enum, default_value = "run")]
    transform: TransformName,
    /// Length to which the short side is resized.
    #[arg(long, value_name = "PIXELS")]
    #[arg(conflicts_with_all = ["patches", "stretch", "fit", "multi_scale"])]
    resize: Option<usize>,
    /// Side of the centre crop.
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["stretch", "fit", "multi_scale"])]
    size: Option<usize>,
    /// Resizing filter.
    #[arg(long, value_name = "NAME", value_enum, default_value = "bicubic")]
    #[arg(conflicts_with_all = ["stretch", "fit", "multi_scale"])]
    filter: FilterName,
    /// Images per batch.
    #[arg(long, value_name = "B", conflicts_with_all = ["fit", "multi_scale"])]
    batch_size: Option<usize>,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Split: train, test, pretrain, or a split of one of the paper's data sets.
    #[arg(long, value_name = "NAME", default_value = "train")]
    split: String,
    /// Output: safetensors with `features` `[N,D]` f32, and `labels` if there are any.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Do not crop; average the features at scales 1, 1/sqrt(2) and 1/2, normalised to length 1.
    #[arg(long, conflicts_with_all = ["patches", "grid"])]
    multi_scale: bool,
    /// Do not crop; shrink images so that neither side exceeds this (Lanczos); features are
    /// normalised to length 1.
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["stretch", "patches", "grid"])]
    fit: Option<usize>,
    /// Crop retrieval queries to their boxes, as the benchmark does and the authors do not.
    #[arg(long)]
    query_boxes: bool,
    /// Stretch every image to a square of this side.
    #[arg(long, value_name = "PIXELS", conflicts_with = "multi_scale")]
    stretch: Option<usize>,
}

/// Image preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TransformName {
    /// That of the run's k-NN.
    Run,
    /// Short side 256, centre crop 224, ImageNet's mean and standard deviation.
    Imagenet,
}

/// Filters for resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FilterName {
    Bilinear,
    Bicubic,
}

pub fn run(args: &FeaturesArgs) -> Result<ExitCode> {
    let is_whole = args.layer == POOLED.name && args.fit.is_none() && !args.multi_scale;
    if args.network.network == NetworkName::Pixels && !is_whole {
        let detail = "--network pixels: raw pixels have no --layer, --fit or --multi-scale";
        return Err(Error::usage(detail.to_owned()));
    }
    check_outputs([&args.out], [&args.checkpoint])?;
    within("--fit", args.fit.unwrap_or(1), 1..=usize::MAX)?;
    for (option, side) in
        [("--stretch", args.stretch), ("--resize", args.resize), ("--size", args.size)]
    {
        within(option, side.unwrap_or(1), 1..=SIDE)?;
    }
    let mut source = args.network.open(&args.checkpoint)?;
    let (set, per_second) = on_threads(args.threads, || {
        let mut data = args.data.open(&source, &args.split)?;
        if args.query_boxes {
            let boxes = args.data.query_boxes(&source)?;
            let change = Change::Crop { boxes, fit: args.fit };
            if args.split != "queries" {
                let detail = "--query-boxes needs --split queries";
                return Err(Error::usage(detail.to_owned()));
            }
            data = Arc::new(Changed { data, change });
        }
        extract(args, &mut source, data)
    })?;
    set.save(&args.out)?;
    let labels = match &set.labels {
        Labels::None => "no labels".to_owned(),
        Labels::Single(_) => "one label each".to_owned(),
        Labels::Multi { classes, .. } => format!("labels of {classes} classes each"),
    };
    say!(
        "{}: {} features of {} numbers, {labels}; {per_second:.0} images/s",
        args.out.display(),
        set.rows(),
        set.dim
    );
    Ok(ExitCode::SUCCESS)
}

impl FeaturesArgs {
    /// The image preprocessing.
    fn transform(&self, source: &NetworkFile) -> Result<EvalTransform> {
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
        let (resize, size) = (self.stretch.or(self.resize), self.stretch.or(self.size));
        transform.size = size.unwrap_or(transform.size);
        transform.resize = resize.unwrap_or(transform.resize.max(transform.size));
        if transform.size == 0 || transform.size > transform.resize {
            let EvalTransform { size, resize, .. } = transform;
            return Err(Error::usage(format!(
                "--size is {size}, should be 1 to {resize} (--resize)"
            )));
        }
        Ok(transform)
    }
}

fn extract(
    args: &FeaturesArgs,
    source: &mut NetworkFile,
    data: Arc<dyn Dataset>,
) -> Result<(FeatureSet, f64)> {
    let bar = ImageBar::new("features", data.len());
    let network = &args.network;
    let transform = args.transform(source)?;
    let set = if args.multi_scale || args.fit.is_some() {
        let data = match args.fit {
            Some(most) => Arc::new(Changed { data, change: Change::Fit(most) }),
            None => data,
        };
        let mut any_size = AnySize::new(source.backbone(network.network)?, network.device.open()?);
        let scales = if args.multi_scale { &SCALES[..] } else { &SCALES[..1] };
        any_size.feature_set(&*data, &transform, scales, |done| bar.set(done))?
    } else {
        let data = match args.stretch {
            Some(side) => Arc::new(Changed { data, change: Change::Stretch(side) }),
            None => data,
        };
        let batch = batch_size(source, args.batch_size)?;
        let mut encoder = network.encoder(source, transform, &args.layer, batch)?;
        check_features(&encoder, data.len())?;
        encoder.feature_set(&*data, |done| bar.set(done))?
    };
    let per_second = bar.finish(set.rows());
    Ok((set, per_second))
}
