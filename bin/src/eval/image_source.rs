//! A network and the images it sees: what every protocol evaluates, if not features from files.

use std::path::Path;
use std::sync::Arc;

use carp::error::Result;
use carp::views::EvalTransform;
use clap::Args;
use datasets::{DataKind, Dataset, Subset};
use evaluations::all::{Look, Protocol};
use evaluations::features::{FeatureSet, POOLED};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::trained::{LabelledSplits, TrainedBackbone};

use super::report::Source;
use crate::bars::{ImageBar, watched};
use crate::data_args::DataArgs;
use crate::network_args::{NetworkArgs, batch_size, check_features};

/// A network of a checkpoint, and images.
#[derive(Args)]
pub struct ImageSource {
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub data: DataArgs,
}

/// Features with their source.
pub struct Sets {
    pub train: FeatureSet,
    pub test: Option<FeatureSet>,
    pub source: Source,
    /// The test images, one per row; features from files have none.
    pub test_images: Option<Arc<dyn Dataset>>,
}

/// A network and labelled images with their source.
pub struct Labelled<'a> {
    pub backbone: TrainedBackbone<'a>,
    pub splits: LabelledSplits,
    pub source: Source,
}

impl ImageSource {
    /// Opens a checkpoint, and names it and its network.
    pub fn open(&self, checkpoint: &Path) -> Result<(NetworkFile, Source)> {
        let file = self.network.open(checkpoint)?;
        let mut source = vec![
            ("checkpoint", file.path().display().to_string()),
            ("network", file.resolved(self.network.network).name().to_owned()),
        ];
        if self.network.network != NetworkName::Pixels {
            source.push(("backbone", file.described(self.network.network)?));
        }
        source.extend(self.network.patches.grid()?.map(|grid| ("patches", grid.to_string())));
        let grid = self.network.grid;
        source.extend((grid != 1).then(|| ("features", format!("means of {grid} x {grid} cells"))));
        Ok((file, source))
    }

    /// The preprocessing of a protocol on data of this kind.
    pub fn transform(
        &self,
        file: &NetworkFile,
        protocol: Protocol,
        kind: DataKind,
    ) -> Result<EvalTransform> {
        Ok(Look::of(file)?.transform(protocol, kind))
    }

    /// The network's features of training and test images.
    pub fn features(&self, checkpoint: &Path, protocol: Protocol) -> Result<Sets> {
        let (mut file, mut source) = self.open(checkpoint)?;
        let (data, _) = self.data.config(&file)?;
        let transform = self.transform(&file, protocol, data.kind)?;
        let batch = batch_size(&file, None)?;
        let mut encoder = self.network.encoder(&mut file, transform, POOLED.name, batch)?;
        let scaling = self.network.network.scaling(encoder.transform());
        let images = format!("{}, {scaling}", encoder.crop());
        let (train, test) = (self.data.open(&file, "train")?, self.data.open(&file, "test")?);
        check_features(&encoder, train.len() + test.len())?;
        let mut features = |data: &dyn Dataset, what| -> Result<(FeatureSet, Vec<u32>)> {
            source.push((what, data.name().to_owned()));
            let bar = ImageBar::new(data.name(), data.len());
            let made = encoder.features(data, |done| bar.set(done))?;
            let rows = made.rows.clone();
            bar.finish(rows.len());
            Ok((made.labelled(data), rows))
        };
        let (train_set, _) = features(&*train, "training images of")?;
        let (test_set, rows) = features(&*test, "test images of")?;
        source.push(("images", images));
        source.extend(left_out(&*train, &*test));
        let test_images: Arc<dyn Dataset> = Arc::new(Subset::new(test, rows));
        Ok(Sets { train: train_set, test: Some(test_set), source, test_images: Some(test_images) })
    }

    /// The network and the labelled images that it can read.
    pub fn labelled(&self, checkpoint: &Path, protocol: Protocol) -> Result<Labelled<'_>> {
        let (mut file, mut source) = self.open(checkpoint)?;
        let (data, seed) = self.data.config(&file)?;
        let transform = self.transform(&file, protocol, data.kind)?;
        let backbone = self.network.trained(&mut file, transform)?;
        let opened = data.open(seed)?;
        let splits =
            watched(opened.pretrain.name(), |progress| LabelledSplits::new(&opened, progress))?;
        source.push(("training images of", splits.train.name().to_owned()));
        source.push(("test images of", splits.test.name().to_owned()));
        source.extend(left_out(&*splits.train, &*splits.test));
        Ok(Labelled { backbone, splits, source })
    }
}

/// How many images cannot be read and were left out, if any were.
fn left_out(train: &dyn Dataset, test: &dyn Dataset) -> Option<(&'static str, String)> {
    let [train, test] = [train, test].map(Dataset::skipped);
    let line = format!("{train} for training, {test} for testing");
    (train + test > 0).then_some(("unreadable images", line))
}
