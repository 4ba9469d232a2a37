//! What a run's network makes of the data set's pictures: a map of their features, which classes it
//! takes for which, and which prototypes they are near to.

use std::io::Cursor;
use std::path::Path;

use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::Device;
use carp::method::MethodConfig;
use datasets::{Dataset, Labels, Progress, Splits, Subset, spread};
use evaluations::features::{Encoder, FeatureSet, POOLED};
use evaluations::knn::{KnnOptions, evaluate};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::online_knn::part;
use image::codecs::jpeg::JpegEncoder;
use serde::Serialize;

use crate::data_uri::data_uri;
use crate::feature_map::{FeatureMap, POINTS};
use crate::prototypes_view::PrototypesView;
use crate::thumbnails::{SIDE, thumbnails};

/// Pictures in a row of their sheet.
const PER_ROW: usize = 32;
/// Per cent.
const JPEG_QUALITY: u8 = 85;
/// Classes of a confusion matrix that a page has room for.
const CLASSES: usize = 100;

/// A trained network's view of pictures it was not trained on, if any are held out.
#[derive(Debug, Serialize)]
pub struct NetworkView {
    /// Which pictures.
    data: String,
    map: MapView,
    /// By the run's own k-NN, where there are classes, and not too many.
    confusion: Option<ConfusionView>,
    /// Of a run of CARP.
    prototypes: Option<PrototypesView>,
}

/// The map, with its pictures.
#[derive(Debug, Serialize)]
struct MapView {
    #[serde(flatten)]
    map: FeatureMap,
    /// The pictures, row by row.
    sheet: String,
    side: usize,
    per_row: usize,
}

/// Predictions against labels.
#[derive(Debug, Serialize)]
struct ConfusionView {
    k: usize,
    accuracy: Option<f64>,
    names: Vec<String>,
    /// A row per label: how many of its pictures were taken for which.
    counts: Vec<Vec<u64>>,
}

impl NetworkView {
    /// Runs the evaluated network of a run's last checkpoint.
    ///
    /// # Errors
    /// No checkpoint; a picture that cannot be read.
    pub fn of(
        folder: &Path,
        config: &Config,
        splits: &Splits,
        device: Device,
    ) -> Result<NetworkView> {
        let mut file = NetworkFile::open(folder, None)?;
        let transform = file.transform()?;
        let backbone = file.backbone(NetworkName::Auto)?;
        let batch = config.knn.batch_size;
        let mut encoder = Encoder::new(&backbone, transform, POOLED, batch, device)?;
        let (shown, most) = match &splits.test {
            Some(test) if !test.is_empty() => (test, config.knn.queries),
            _ => (&splits.pretrain, POINTS),
        };
        let shown = Subset::readable(part(shown, most), Progress::none())?;
        let features = encoder.feature_set(&*shown, |_| ())?;
        let trained = splits.train.as_ref().filter(|train| !train.is_empty());
        let confusion = match (trained, &features.labels) {
            (Some(train), Labels::Single(_)) => {
                let bank = encoder.feature_set(&*part(train, config.knn.bank), |_| ())?;
                confusion(config, &bank, &features)?
            }
            _ => None,
        };
        let prototypes = (config.method == MethodConfig::Carp)
            .then(|| PrototypesView::of(folder, config, &*shown, &features, device))
            .transpose()?;
        let data = shown.name().to_owned();
        Ok(NetworkView { data, map: map(&*shown, &features)?, confusion, prototypes })
    }
}

fn confusion(
    config: &Config,
    bank: &FeatureSet,
    queries: &FeatureSet,
) -> Result<Option<ConfusionView>> {
    let k = config.knn.k;
    let options = KnnOptions { ks: vec![k], temperature: config.knn.temperature };
    let confusion = evaluate(bank, queries, options, Progress::none())?.confusion;
    let names = confusion.names();
    let (accuracy, counts) = (confusion.accuracy(), confusion.counts().collect());
    Ok((names.len() <= CLASSES).then_some(ConfusionView { k, accuracy, names, counts }))
}

/// At most [`POINTS`] of the pictures on the map.
fn map(data: &dyn Dataset, features: &FeatureSet) -> Result<MapView> {
    let rows = spread(features.rows(), POINTS);
    Ok(MapView {
        map: FeatureMap::of(features, &rows),
        sheet: jpeg(data, &rows)?,
        side: SIDE,
        per_row: PER_ROW,
    })
}

/// Small copies of the pictures.
fn jpeg(data: &dyn Dataset, rows: &[usize]) -> Result<String> {
    let mut jpeg = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode_image(&thumbnails(data, rows, PER_ROW)?)
        .map_err(|error| Error::data(data.name(), format!("cannot be drawn: {error}")))?;
    Ok(data_uri("image/jpeg", jpeg.get_ref()))
}
