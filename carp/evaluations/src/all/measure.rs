//! What the evaluations of a run's own data and of the paper's data sets share: features, and the
//! protocols on them and on images.

use std::path::Path;

use carp::error::Result;
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::{Dataset, Progress};

use super::headlines;
use super::protocol::Protocol;
use super::recorder::{EvaluationEvent, Recorder};
use super::report::Measured;
use super::settings::AllSettings;
use crate::features::{Encoder, FeatureSet};
use crate::linear::{ClassifierEvent, linear_of_backbone, linear_of_features};
use crate::network_file::{NetworkFile, NetworkName};
use crate::semi::semi;
use crate::trained::{LabelledSplits, TrainedBackbone};

/// Training and test features of one network.
pub struct Pair {
    pub train: FeatureSet,
    pub test: FeatureSet,
}

/// The network of a source, ready for the protocols that run it, or `None` for pixels.
///
/// # Errors
/// Those of [`NetworkFile::backbone`].
pub fn backbone<'a>(
    source: &mut NetworkFile,
    network: NetworkName,
    transform: &EvalTransform,
    batch: usize,
    device: Device<'a>,
) -> Result<Option<TrainedBackbone<'a>>> {
    if network == NetworkName::Pixels {
        return Ok(None);
    }
    TrainedBackbone::new(source, network, transform.clone(), batch, device).map(Some)
}

/// Features of a data set by a network, or the pixels without one.
fn features(
    backbone: Option<&TrainedBackbone>,
    transform: &EvalTransform,
    data: &dyn Dataset,
    name: &str,
    recorder: &mut Recorder,
) -> Result<FeatureSet> {
    let mut encoder = match backbone {
        None => Encoder::of_pixels(transform.clone()),
        Some(backbone) => backbone.encoder(transform.clone())?,
    };
    let (what, images) = (format!("{}, {name}", data.name()), data.len());
    let set = encoder.feature_set(data, |done| {
        recorder.show(EvaluationEvent::Features { what: what.clone(), done, images });
    })?;
    recorder.note_unreadable(data.name(), images - set.rows());
    Ok(set)
}

/// The names of training and test images, and their preprocessing.
pub fn described(
    network: NetworkName,
    transform: &EvalTransform,
    (train, test): (&str, &str),
) -> String {
    let (crop, scaling) = (transform.crop(), network.scaling(transform));
    format!("images of {train}, tested on {test}: {crop}, {scaling}")
}

/// Features of training and test images.
pub fn pair(
    backbone: Option<&TrainedBackbone>,
    transform: &EvalTransform,
    (train, test): (&dyn Dataset, &dyn Dataset),
    name: &str,
    recorder: &mut Recorder,
) -> Result<Pair> {
    let train = features(backbone, transform, train, name, recorder)?;
    let test = features(backbone, transform, test, name, recorder)?;
    Ok(Pair { train, test })
}

/// A protocol that needs features only.
pub fn of_features(
    protocol: Protocol,
    Pair { train, test }: &Pair,
    settings: &AllSettings,
    progress: Progress,
) -> Result<Measured> {
    match protocol {
        Protocol::Knn => headlines::knn(train, test, settings, progress),
        Protocol::FewShot => headlines::few_shot(train, test, settings, progress),
        Protocol::Kmeans => headlines::kmeans(train, test, settings, progress),
        other => unreachable!("{} needs more than features", other.name()),
    }
}

/// The linear probe: on given features, or else on the backbone's, of random crops if the settings
/// want them.
pub fn linear(
    settings: &AllSettings,
    backbone: Option<&TrainedBackbone>,
    splits: &LabelledSplits,
    features: Option<&Pair>,
    device: Device,
    progress: Progress,
) -> Result<Measured> {
    let show = &mut |event: ClassifierEvent| event.report(progress);
    let crop_scale = settings.crop_scale.filter(|_| features.is_none());
    let result = match (backbone, features) {
        (_, Some(features)) => linear_of_features(
            &settings.linear,
            (&features.train, Path::new("training features")),
            (&features.test, Path::new("test features")),
            device,
            show,
        )?,
        (Some(backbone), None) => {
            linear_of_backbone(&settings.linear, crop_scale, backbone, splits, show)?
        }
        (None, None) => unreachable!("pixels come as features"),
    };
    Ok(headlines::linear(&result, crop_scale))
}

/// Fine-tuning on each fraction of the labels.
pub fn fine_tuned(
    settings: &AllSettings,
    backbone: &TrainedBackbone,
    splits: &LabelledSplits,
    progress: Progress,
) -> Measured {
    let show = &mut |event: ClassifierEvent| event.report(progress);
    let part = |share| semi(&settings.semi(share), backbone, splits, show);
    // 7 % and not 7.000000000000001 %.
    let name = |share| format!("{} % of the labels", (100.0 * share) as f32);
    let (results, faults) = succeeded(&settings.semi_shares, part, name);
    Measured { faults, ..headlines::semi(&results) }
}

/// The results of those parts of a protocol that succeed, and why the others fail.
pub fn succeeded<T: Copy, R>(
    parts: &[T],
    mut measure: impl FnMut(T) -> Result<R>,
    name: impl Fn(T) -> String,
) -> (Vec<R>, Vec<String>) {
    let (mut results, mut faults) = (vec![], vec![]);
    for &part in parts {
        match measure(part) {
            Ok(result) => results.push(result),
            Err(error) => faults.push(format!("{}: {error}", name(part))),
        }
    }
    (results, faults)
}
