//! Every classification protocol on a run's own data.

use std::path::Path;

use carp::error::Result;
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::{DataConfig, DataKind, Dataset, Progress};

use super::headlines;
use super::look::Look;
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
pub fn features(
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

/// Runs the classification protocols on a run's own data, once per network.
///
/// # Errors
/// Data that cannot be opened or has no labels; a file that cannot be written. An error in a
/// protocol is recorded in the report, and the others go on.
pub fn evaluate_own(
    recorder: &mut Recorder,
    source: &mut NetworkFile,
    networks: &[NetworkName],
    (data, seed): (&DataConfig, u64),
    (look, batch): (&Look, usize),
    device: Device,
) -> Result<()> {
    let opened = data.open(seed)?;
    let splits = recorder
        .images(opened.pretrain.name(), |progress| LabelledSplits::new(&opened, progress))?;
    let name = splits.train.name();
    // "Fashion-MNIST, train" and a folder's "pictures/train" are named without the split.
    let title = match (data.kind, &data.path) {
        (DataKind::Folder, Some(folder)) => folder.display().to_string(),
        _ => name.rsplit_once(", ").map_or(name, |(title, _)| title).to_owned(),
    };
    for data in [&splits.train, &splits.test] {
        recorder.note_unreadable(data.name(), data.skipped());
    }
    for &network in networks {
        let name = network.name();
        let transform = |protocol| look.transform(protocol, data.kind);
        let images = |protocol| {
            described(network, &transform(protocol), (splits.train.name(), splits.test.name()))
        };
        let at = |protocol| (title.as_str(), name, protocol);
        let mut backbone = backbone(source, network, &look.transform, batch, device)?;
        let sets = (&*splits.train, &*splits.test);
        // In this order protocols with the same images, which share features, are neighbours.
        let mut known: Option<(EvalTransform, Pair)> = None;
        for protocol in [Protocol::Linear, Protocol::Knn, Protocol::FewShot, Protocol::Kmeans] {
            if !recorder.wants(protocol) {
                continue;
            }
            let transform = transform(protocol);
            if known.as_ref().is_none_or(|(of, _)| *of != transform) {
                drop(known.take());
                let pair = pair(backbone.as_ref(), &transform, sets, name, recorder)?;
                known = Some((transform.clone(), pair));
            }
            let (_, features) = known.as_ref().expect("just made");
            if let Some(backbone) = &mut backbone {
                backbone.transform = transform;
            }
            let Pair { train, test } = features;
            recorder.measure(
                at(protocol),
                images(protocol),
                |settings, progress| match protocol {
                    Protocol::Linear => {
                        let (backbone, features) = (backbone.as_ref(), Some(features));
                        linear(settings, backbone, &splits, features, device, progress)
                    }
                    Protocol::Knn => headlines::knn(train, test, settings, progress),
                    Protocol::FewShot => headlines::few_shot(train, test, settings, progress),
                    _ => headlines::kmeans(train, test, settings, progress),
                },
            )?;
        }
        drop(known);
        if let (Some(backbone), true) = (&mut backbone, recorder.wants(Protocol::Semi)) {
            backbone.transform = transform(Protocol::Semi);
            let images = images(Protocol::Semi);
            recorder.measure(at(Protocol::Semi), images, |settings, progress| {
                Ok(fine_tuned(settings, backbone, &splits, progress))
            })?;
        }
    }
    Ok(())
}

/// The linear probe: on random crops if the settings and the network allow it, else on features,
/// given or newly extracted.
pub fn linear(
    settings: &AllSettings,
    backbone: Option<&TrainedBackbone>,
    splits: &LabelledSplits,
    features: Option<&Pair>,
    device: Device,
    progress: Progress,
) -> Result<Measured> {
    let show = &mut |event: ClassifierEvent| event.report(progress);
    let crop_scale = settings.crop_scale.filter(|_| backbone.is_some());
    let result = match (backbone, features) {
        (Some(backbone), None) => {
            linear_of_backbone(&settings.linear, crop_scale, backbone, splits, show)?
        }
        (Some(backbone), Some(_)) if crop_scale.is_some() => {
            linear_of_backbone(&settings.linear, crop_scale, backbone, splits, show)?
        }
        (_, Some(features)) => linear_of_features(
            &settings.linear,
            (&features.train, Path::new("training features")),
            (&features.test, Path::new("test features")),
            device,
            show,
        )?,
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
