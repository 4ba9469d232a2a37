//! Every classification protocol on a run's own data.

use std::path::Path;

use carp::error::{Error, Result};
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
/// Data that cannot be opened or has no labels; a file that cannot be written. An error with a network
/// or in a protocol is recorded in the report, and the others go on.
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
    let own = OwnData { title: &title, kind: data.kind, splits: &splits, look };
    for &network in networks {
        match backbone(source, network, &look.transform, batch, device) {
            Ok(backbone) => own.all(recorder, network, backbone, device)?,
            Err(error) => own.failed(recorder, network, &error),
        }
    }
    Ok(())
}

/// A run's own data, and how its images are seen.
struct OwnData<'a> {
    title: &'a str,
    kind: DataKind,
    splits: &'a LabelledSplits,
    look: &'a Look,
}

impl OwnData<'_> {
    /// Records a network that cannot be evaluated.
    fn failed(&self, recorder: &mut Recorder, network: NetworkName, error: &Error) {
        recorder.skip(self.title, Some(network.name()), None, error.to_string(), true);
    }

    /// Runs the protocols with one network, or with pixels.
    fn all(
        &self,
        recorder: &mut Recorder,
        network: NetworkName,
        mut backbone: Option<TrainedBackbone>,
        device: Device,
    ) -> Result<()> {
        let OwnData { splits, .. } = *self;
        let sets = (&*splits.train, &*splits.test);
        let name = network.name();
        let transform = |protocol| self.look.transform(protocol, self.kind);
        let images =
            |protocol| described(network, &transform(protocol), (sets.0.name(), sets.1.name()));
        let at = |protocol| (self.title, name, protocol);
        // In this order protocols with the same images, which share features, are neighbours.
        let mut known: Option<(EvalTransform, Pair)> = None;
        for protocol in [Protocol::Linear, Protocol::Knn, Protocol::FewShot, Protocol::Kmeans] {
            if !recorder.wants(protocol) {
                continue;
            }
            let transform = transform(protocol);
            let crops = protocol == Protocol::Linear && recorder.settings().crop_scale.is_some();
            let has_own_features = crops && backbone.is_some();
            if !has_own_features && known.as_ref().is_none_or(|(of, _)| *of != transform) {
                drop(known.take());
                match pair(backbone.as_ref(), &transform, sets, name, recorder) {
                    Ok(pair) => known = Some((transform.clone(), pair)),
                    Err(error) => {
                        self.failed(recorder, network, &error);
                        return Ok(());
                    }
                }
            }
            if let Some(backbone) = &mut backbone {
                backbone.transform = transform;
            }
            let features = known.as_ref().map(|(_, pair)| pair).filter(|_| !has_own_features);
            recorder.measure(at(protocol), images(protocol), |settings, progress| {
                match (protocol, features) {
                    (Protocol::Linear, _) => {
                        linear(settings, backbone.as_ref(), splits, features, device, progress)
                    }
                    (Protocol::Knn, Some(Pair { train, test })) => {
                        headlines::knn(train, test, settings, progress)
                    }
                    (Protocol::FewShot, Some(Pair { train, test })) => {
                        headlines::few_shot(train, test, settings, progress)
                    }
                    (_, Some(Pair { train, test })) => {
                        headlines::kmeans(train, test, settings, progress)
                    }
                    (_, None) => unreachable!("only the linear probe has its own"),
                }
            })?;
        }
        drop(known);
        if let (Some(backbone), true) = (&mut backbone, recorder.wants(Protocol::Semi)) {
            backbone.transform = transform(Protocol::Semi);
            let images = images(Protocol::Semi);
            recorder.measure(at(Protocol::Semi), images, |settings, progress| {
                Ok(fine_tuned(settings, backbone, splits, progress))
            })?;
        }
        Ok(())
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
