//! What a run's network makes of the data set's pictures: a map of their features, and which classes
//! it takes for which.

use std::io::Cursor;
use std::path::Path;

use carp::config::Config;
use carp::error::{Error, Result};
use carp::learner::Device;
use datasets::{Dataset, Filter, Labels, Progress, Splits, Subset};
use evaluations::features::{Encoder, FeatureSet, POOLED};
use evaluations::knn::{KnnOptions, evaluate};
use evaluations::network_file::{NetworkFile, NetworkName};
use evaluations::online_knn::part;
use evaluations::picture_sheet::evenly_spaced;
use evaluations::whitening::Whitening;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use serde::Serialize;

use crate::data_uri::data_uri;

/// Pictures on the map.
const POINTS: usize = 1000;
/// Side of a picture that is shown beside its point, in pixels.
const SIDE: usize = 32;
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
    map: FeatureMap,
    /// By the run's own k-NN, where there are classes, and not too many.
    confusion: Option<ConfusionView>,
}

/// Features along their two principal components.
#[derive(Debug, Serialize)]
struct FeatureMap {
    /// A point per picture.
    x: Vec<f32>,
    y: Vec<f32>,
    /// Of the features' variance, the shares along x and y.
    shares: [f64; 2],
    /// A class per picture, or none at all.
    labels: Vec<u32>,
    class_names: Vec<String>,
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
    /// Runs the teacher of a run's last checkpoint.
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
        let backbone = file.backbone(NetworkName::Teacher)?;
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
        let data = shown.name().to_owned();
        Ok(NetworkView { data, map: map(&*shown, &features)?, confusion })
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

/// At most [`POINTS`] of the pictures on the plane of the features' greatest variance, each feature
/// scaled to length 1, since k-NN compares by cosine.
fn map(data: &dyn Dataset, features: &FeatureSet) -> Result<FeatureMap> {
    let (dim, rows) = (features.dim, evenly_spaced(features.rows(), POINTS));
    let mut points = FeatureSet {
        features: rows
            .iter()
            .flat_map(|&row| unit(&features.features[row * dim..][..dim]))
            .collect(),
        dim,
        labels: Labels::None,
        class_names: Vec::new(),
    };
    centre(&mut points.features, dim);
    // A power of 0 only turns the axes.
    Whitening::learn(&points, 0.0).apply(&mut points);
    let along = |axis: usize| points.features.iter().skip(axis).step_by(dim).copied();
    let variance = |axis: usize| along(axis).map(|x| f64::from(x).powi(2)).sum::<f64>();
    let all: f64 = (0..dim).map(variance).sum();
    let share = |axis: usize| if all > 0.0 && axis < dim { variance(axis) / all } else { 0.0 };
    let labels = match &features.labels {
        Labels::Single(labels) => rows.iter().map(|&row| labels[row]).collect(),
        _ => Vec::new(),
    };
    Ok(FeatureMap {
        x: along(0).collect(),
        y: if dim > 1 { along(1).collect() } else { vec![0.0; rows.len()] },
        shares: [share(0), share(1)],
        labels,
        class_names: features.class_names.clone(),
        sheet: sheet(data, &rows)?,
        side: SIDE,
        per_row: PER_ROW,
    })
}

fn unit(feature: &[f32]) -> impl Iterator<Item = f32> {
    let length = feature.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    feature.iter().map(move |x| x / length)
}

/// Takes the mean off.
fn centre(features: &mut [f32], dim: usize) {
    let rows = (features.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    for row in features.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / rows);
    }
    for row in features.chunks_exact_mut(dim) {
        row.iter_mut().zip(&mean).for_each(|(x, &mean)| *x -= mean as f32);
    }
}

/// Small copies of the pictures, as a JPEG.
fn sheet(data: &dyn Dataset, rows: &[usize]) -> Result<String> {
    let height = SIDE * rows.len().div_ceil(PER_ROW);
    let mut sheet = RgbImage::new((SIDE * PER_ROW) as u32, height as u32);
    for (place, &row) in rows.iter().enumerate() {
        let picture = data.image(row)?;
        let small = picture.fitting(Filter::Bilinear, SIDE).with_channels(3).into_owned();
        let left = place % PER_ROW * SIDE + (SIDE - small.width) / 2;
        let top = place / PER_ROW * SIDE + (SIDE - small.height) / 2;
        for (at, pixel) in small.pixels.chunks_exact(3).enumerate() {
            let (x, y) = (left + at % small.width, top + at / small.width);
            sheet.put_pixel(x as u32, y as u32, Rgb([pixel[0], pixel[1], pixel[2]]));
        }
    }
    let mut jpeg = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode_image(&sheet)
        .map_err(|error| Error::data(data.name(), format!("cannot be drawn: {error}")))?;
    Ok(data_uri("image/jpeg", jpeg.get_ref()))
}
