//! `carp features`: image features as a file, for the evaluations or for other programs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use carp::error::{Error, Result};
use clap::Args;
use datasets::{Change, Changed, Dataset, Labels};
use evaluations::features::{AnySize, FeatureSet, POOLED, SCALES};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::network_role::Role;
use files::check_output;

use crate::data_args::DataArgs;
use crate::image_bar::ImageBar;
use crate::network_args::NetworkArgs;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct FeaturesArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Split: train, test, pretrain, or a split of one of the paper's data sets.
    #[arg(long, value_name = "NAME", default_value = "train")]
    split: String,
    /// Output: safetensors with `features` `[N,D]` f32, and `labels` if there are any.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Do not crop; average the features at scales 1, 1/sqrt(2) and 1/2, normalised to length 1.
    #[arg(long)]
    multi_scale: bool,
    /// Do not crop; shrink images so that neither side exceeds this (Lanczos).
    #[arg(long, value_name = "PIXELS", conflicts_with = "stretch")]
    fit: Option<usize>,
    /// Crop retrieval queries to their boxes, as the benchmark does and the authors do not.
    #[arg(long)]
    query_boxes: bool,
    /// Stretch every image to a square of this side.
    #[arg(long, value_name = "PIXELS", conflicts_with = "multi_scale")]
    stretch: Option<usize>,
}

pub fn run(args: &FeaturesArgs) -> Result<ExitCode> {
    check_output(&args.out)?;
    let mut source = args.network.open()?;
    tell(&source, args.network.network, network_option)?;
    let (set, per_second) = on_threads(args.network.threads, || {
        let mut data = args.data.open(&source, &args.split)?;
        if args.query_boxes {
            let change = Change::Crop(args.data.query_boxes(&source)?);
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

/// How `--network` takes the network of a role.
pub fn network_option(role: Role) -> &'static str {
    match role {
        Role::Student => "--network student",
        Role::Teacher => "--network teacher",
    }
}

/// Prints which network was found, and which others were not taken.
pub fn tell(
    source: &NetworkFile,
    network: NetworkName,
    option: impl Fn(Role) -> &'static str,
) -> Result<()> {
    let path = source.path().display();
    if network == NetworkName::Pixels {
        say!("{path}: no network, raw pixels");
        return Ok(());
    }
    let (chosen, found) = source.find(network)?;
    let config = found.config;
    let how = if network == NetworkName::Untrained { ", with new weights" } else { "" };
    say!(
        "{path}: {} of width {} for {} channels under {:?}{how}",
        config.arch.name(),
        config.width,
        config.in_channels,
        chosen.prefix
    );
    if let Some(line) = source.passed_over(network, option)? {
        say!("{line}");
    }
    Ok(())
}

fn extract(
    args: &FeaturesArgs,
    source: &mut NetworkFile,
    data: Arc<dyn Dataset>,
) -> Result<(FeatureSet, f64)> {
    let bar = ImageBar::new("features", data.len());
    let network = args.network.network;
    let set = if args.multi_scale || args.fit.is_some() {
        if args.network.layer != POOLED || network == NetworkName::Pixels {
            let detail = "--fit and --multi-scale work only with a network's last layer";
            return Err(Error::usage(detail.to_owned()));
        }
        let data = match args.fit {
            Some(most) => Arc::new(Changed { data, change: Change::Fit(most) }),
            None => data,
        };
        let transform = args.network.transform(source)?;
        let device = args.network.device.open()?;
        let mut any_size = AnySize::new(source.backbone(network)?, &device);
        let scales = if args.multi_scale { &SCALES[..] } else { &SCALES[..1] };
        any_size.feature_set(&*data, &transform, scales, |done| bar.set(done))?
    } else if let Some(side) = args.stretch {
        let mut network = args.network.clone();
        (network.resize, network.size) = (Some(side), Some(side));
        let data = Changed { data, change: Change::Stretch(side) };
        let mut encoder = network.encoder(source, args.network.network)?;
        encoder.feature_set(&data, |done| bar.set(done))?
    } else {
        let mut encoder = args.network.encoder(source, network)?;
        encoder.feature_set(&*data, |done| bar.set(done))?
    };
    let per_second = bar.finish(set.rows());
    Ok((set, per_second))
}
