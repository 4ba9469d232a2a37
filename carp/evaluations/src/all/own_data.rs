//! Every classification protocol on a run's own data.

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::{DataConfig, DataKind};

use super::look::Look;
use super::measure::{Pair, backbone, described, fine_tuned, linear, of_features, pair};
use super::protocol::Protocol;
use super::recorder::Recorder;
use crate::network_file::{NetworkFile, NetworkName};
use crate::trained::{LabelledSplits, TrainedBackbone};

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
                    (_, Some(pair)) => of_features(protocol, pair, settings, progress),
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
