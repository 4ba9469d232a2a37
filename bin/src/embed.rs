//! `carp embed`: a map of a network's features, as a picture and for TensorBoard's projector.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::{Error, Result};
use clap::Args;
use datasets::Subset;
use evaluations::features::POOLED;
use files::check_output_folder;
use report::feature_map::{FeatureMap, POINTS};
use report::projector;

use crate::bars::{ImageBar, watched};
use crate::bench::picture;
use crate::counted::counted;
use crate::data_args::DataArgs;
use crate::limits::within;
use crate::map_picture::MapPicture;
use crate::network_args::{NetworkArgs, batch_size, check_features};
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct EmbedArgs {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    checkpoint: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Split: train, test, pretrain, or a split of one of the paper's data sets.
    #[arg(long, value_name = "NAME", default_value = "test")]
    split: String,
    /// Images on the map, at most, from all over the split.
    #[arg(long, value_name = "N", default_value_t = POINTS)]
    images: usize,
    /// Output folder: map.png, map.svg, and for the projector vectors.tsv, metadata.tsv, sprite.png and
    /// projector_config.pbtxt.
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

pub fn run(args: &EmbedArgs) -> Result<ExitCode> {
    within("--images", args.images, 1..=projector::MOST)?;
    check_output_folder(&args.out)?;
    let mut source = args.network.open(&args.checkpoint)?;
    let map = on_threads(args.threads, || {
        let data = args.data.open(&source, &args.split)?;
        let shown = Subset::spread(data, args.images);
        let data = watched("pictures", |progress| Subset::readable(shown, progress))?;
        let (transform, batch) = (source.transform()?, batch_size(&source, None)?);
        let mut encoder = args.network.encoder(&mut source, transform, POOLED.name, batch)?;
        check_features(&encoder, data.len())?;
        let bar = ImageBar::new("features", data.len());
        let features = encoder.feature_set(&*data, |done| bar.set(done))?;
        bar.finish(features.rows());
        let map = FeatureMap::of(&features, &(0..features.rows()).collect::<Vec<_>>());
        std::fs::create_dir_all(&args.out).map_err(|source| Error::io(&args.out, source))?;
        projector::write(&args.out, &*data, &features, &map)?;
        Ok(map)
    })?;
    let plot = args.out.join("map.png");
    picture::save(&plot, &MapPicture(&map))?;
    let [across, up] = map.shares.map(|share| 100.0 * share);
    say!(
        "{}: {}; {across:.1} % of the variance across, {up:.1} % up",
        plot.display(),
        counted(map.x.len(), "image")
    );
    say!("TensorBoard: tensorboard --logdir {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
