//! The paper's data sets, each with the paper's protocols for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carp::error::{Error, Result};
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::catalogue::{ALL, Contents, DataSet};
use datasets::{DataConfig, DataKind, Progress, Reading, Subset};

use super::headlines;
use super::look::Look;
use super::measure::{Pair, backbone, described, fine_tuned, linear, of_features, pair, succeeded};
use super::protocol::Protocol;
use super::recorder::{EvaluationEvent, Recorder};
use super::report::Measured;
use super::settings::AllSettings;
use crate::copy_detection::CopyDetectionOptions;
use crate::copy_set::CopySet;
use crate::features::{Encoder, FeatureSet};
use crate::linear::{ClassifierEvent, LinearSettings, linear_of_backbone};
use crate::network_file::{NetworkFile, NetworkName};
use crate::retrieval::RetrievalOptions;
use crate::retrieval_set::{RetrievalLook, RetrievalSet};
use crate::trained::{LabelledSplits, TrainedBackbone, labels};
use crate::{copy_detection, label_subset, retrieval};

/// Memory for decoded images: each is read once, or in every epoch with random crops.
const CACHE: usize = 256 << 20;

/// Runs the paper's protocols on each data set that has a folder of its name, or of torchvision's
/// name, below `root`, once per network. A `strict` one fails at the first unreadable image.
///
/// # Errors
/// No such folder; a file that cannot be written. An error with a network or a data set is recorded
/// in the report, and the others go on.
pub fn evaluate_paper_sets(
    recorder: &mut Recorder,
    source: &mut NetworkFile,
    networks: &[NetworkName],
    (root, strict): (&Path, bool),
    (look, batch): (&Look, usize),
    device: Device,
) -> Result<()> {
    let has_entries =
        |folder: &PathBuf| folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let found = |set: &DataSet| set.folders().map(|name| root.join(name)).find(has_entries);
    if !ALL.iter().any(|set| found(set).is_some()) {
        let names: Vec<&str> = ALL.iter().flat_map(DataSet::folders).collect();
        let detail = format!("none of the data sets' folders is in it: {}", names.join(", "));
        return Err(Error::data(root, detail));
    }
    let mut networks_ready = Vec::new();
    for &network in networks {
        match backbone(source, network, &look.transform, batch, device) {
            Ok(ready) => networks_ready.push((network, ready)),
            Err(error) => {
                let (root, name) = (root.display().to_string(), network.name());
                recorder.skip(&root, Some(name), None, error.to_string(), true);
            }
        }
    }
    for set in &ALL {
        let Some(folder) = found(set) else {
            let folders: Vec<String> =
                set.folders().map(|name| root.join(name).display().to_string()).collect();
            recorder.skip(
                set.name,
                None,
                None,
                format!("no folder {}", folders.join(" or ")),
                false,
            );
            continue;
        };
        let path = Some(folder);
        let config = DataConfig { kind: set.kind, path, strict, ..DataConfig::default() };
        for (network, backbone) in &networks_ready {
            let run = Run { set, config: &config, look, network: *network, device };
            if let Err(error) = run.all(recorder, backbone.as_ref()) {
                recorder.skip(set.name, Some(network.name()), None, error.to_string(), true);
            }
        }
    }
    Ok(())
}

/// One data set and one network.
struct Run<'a> {
    set: &'a DataSet,
    config: &'a DataConfig,
    look: &'a Look,
    network: NetworkName,
    device: Device<'a>,
}

impl Run<'_> {
    fn all(&self, recorder: &mut Recorder, backbone: Option<&TrainedBackbone>) -> Result<()> {
        let wanted = |protocol: &Protocol| {
            self.set.protocols.contains(&protocol.name()) && recorder.wants(*protocol)
        };
        let protocols: Vec<Protocol> = Protocol::ALL.into_iter().filter(wanted).collect();
        if protocols.is_empty() {
            return Ok(());
        }
        let contents = self.set.contents(self.config)?;
        // Protocols with the same images share features.
        let mut known: Option<(EvalTransform, Pair)> = None;
        // Made once: finding the readable images decodes all of them.
        let mut splits: Option<LabelledSplits> = None;
        for protocol in protocols {
            let transform = self.look.transform(protocol, self.set.kind);
            match protocol {
                Protocol::Retrieval => self.retrieval(recorder, &contents, backbone)?,
                Protocol::CopyDetection => self.copy_detection(recorder, &contents, backbone)?,
                Protocol::Linear | Protocol::Semi => {
                    self.trained(recorder, protocol, transform, &contents, backbone, &mut splits)?;
                }
                Protocol::FewShot if self.set.kind == DataKind::INat2018 => {
                    self.trained(recorder, protocol, transform, &contents, backbone, &mut splits)?;
                }
                Protocol::Knn | Protocol::FewShot | Protocol::Kmeans => {
                    let is_part =
                        protocol == Protocol::Kmeans && self.set.kind == DataKind::ImageNet;
                    if is_part || known.as_ref().is_none_or(|(of, _)| *of != transform) {
                        // For large data sets keep only one copy of the features.
                        drop(known.take());
                        let share = recorder.settings().imagenet_clustered;
                        let share = is_part.then_some((share, recorder.settings().seed));
                        let pair =
                            self.features(recorder, &transform, &contents, backbone, share)?;
                        known = Some((transform.clone(), pair));
                    }
                    let (_, pair) = known.as_ref().expect("just made");
                    let images = self.images(&transform);
                    recorder.measure(self.names(protocol), images, |settings, progress| {
                        of_features(protocol, pair, settings, progress)
                    })?;
                    if is_part {
                        known = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn reading(&self) -> Reading {
        Reading { strict: self.config.strict, cache: CACHE }
    }

    fn names(&self, protocol: Protocol) -> (&'static str, &'static str, Protocol) {
        (self.set.name, self.network.name(), protocol)
    }

    fn images(&self, transform: &EvalTransform) -> String {
        described(self.network, transform, (self.set.train, self.set.test))
    }

    /// Features of the training and test split, or with `share` of a balanced subset of the former.
    fn features(
        &self,
        recorder: &mut Recorder,
        transform: &EvalTransform,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
        share: Option<(f64, u64)>,
    ) -> Result<Pair> {
        let mut train = contents.dataset(self.set.train, self.reading())?;
        let test = contents.dataset(self.set.test, self.reading())?;
        if let Some((share, seed)) = share {
            let labels = labels(&*train)?;
            let indices = label_subset::balanced(&labels, train.classes().len(), share, seed)?;
            train = Arc::new(Subset::new(train, indices));
        }
        pair(backbone, transform, (&*train, &*test), self.network.name(), recorder)
    }

    /// The protocols that train on images.
    fn trained(
        &self,
        recorder: &mut Recorder,
        protocol: Protocol,
        transform: EvalTransform,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
        splits: &mut Option<LabelledSplits>,
    ) -> Result<()> {
        let Some(backbone) = backbone else { return Ok(()) };
        let images = self.images(&transform);
        let backbone = TrainedBackbone { transform, ..backbone.clone() };
        let splits =
            match splits {
                Some(splits) => splits,
                None => {
                    let train = contents.dataset(self.set.train, self.reading())?;
                    let test = contents.dataset(self.set.test, self.reading())?;
                    splits.insert(recorder.images(self.set.title, |progress| {
                        LabelledSplits::of(train, test, progress)
                    })?)
                }
            };
        for data in [&splits.train, &splits.test] {
            recorder.note_unreadable(data.name(), data.skipped());
        }
        let is_inat = self.set.kind == DataKind::INat2018;
        recorder.measure(self.names(protocol), images, |settings, progress| match protocol {
            Protocol::Semi => Ok(fine_tuned(settings, &backbone, splits, progress)),
            Protocol::FewShot => Ok(inat_shots(settings, &backbone, splits, progress)),
            _ if is_inat => {
                let AllSettings { inat18, crop_scale, .. } = settings;
                let show = &mut |event: ClassifierEvent| event.report(progress);
                let result = linear_of_backbone(inat18, *crop_scale, &backbone, splits, show)?;
                Ok(headlines::linear(&result, *crop_scale))
            }
            _ => linear(settings, Some(&backbone), splits, None, self.device, progress),
        })
    }

    fn retrieval(
        &self,
        recorder: &mut Recorder,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
    ) -> Result<()> {
        let Some(backbone) = backbone else { return Ok(()) };
        let transform = self.look.transform(Protocol::Retrieval, self.set.kind);
        let backbone = TrainedBackbone { transform, ..backbone.clone() };
        let AllSettings { fit, query_boxes, .. } = *recorder.settings();
        let look = RetrievalLook { fit, query_boxes };
        let set = RetrievalSet::new(contents, &backbone, look, |split, done, images| {
            let what = format!("{split} of {}", self.set.name);
            recorder.show(EvaluationEvent::Features { what, done, images });
        })?;
        let (protocol, images) = (self.names(Protocol::Retrieval), look.images(&backbone));
        recorder.measure(protocol, images, |_, progress| {
            let RetrievalSet { database, queries, relevance } = &set;
            let options = RetrievalOptions::default();
            let result = retrieval::evaluate(database, queries, relevance, options, progress)?;
            Ok(headlines::retrieval(&result, &look.line()))
        })
    }

    fn copy_detection(
        &self,
        recorder: &mut Recorder,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
    ) -> Result<()> {
        let AllSettings { copy_side: side, copy_top: top, .. } = *recorder.settings();
        let distractors = recorder.settings().distractors.clone();
        let transform = self.look.transform(Protocol::CopyDetection, self.set.kind);
        let transform = EvalTransform { resize: side, size: side, ..transform };
        let images = CopySet::images(&transform, self.network);
        let folders = [distractors.as_deref(), None];
        let set = recorder.images(self.set.title, |progress| {
            CopySet::new(contents, folders, self.reading(), progress)
        })?;
        for data in set.parts() {
            recorder.note_unreadable(data.name(), data.skipped());
        }
        let mut encoder = match backbone {
            Some(backbone) => backbone.encoder(transform)?,
            None => Encoder::of_pixels(transform),
        };
        let network = self.network.name();
        let features = set.features(&mut encoder, |part, done, images| {
            let what = format!("{part}, {network}");
            recorder.show(EvaluationEvent::Features { what, done, images });
        })?;
        let rows = features.distractors.as_ref().map_or(0, FeatureSet::rows);
        recorder.measure(self.names(Protocol::CopyDetection), images, |_, progress| {
            let options = CopyDetectionOptions { top, ..CopyDetectionOptions::default() };
            let result = copy_detection::evaluate(features, &set.names(), options, progress)?;
            Ok(headlines::copy_detection(&result, &format!("cosine, {rows} distractors")))
        })
    }
}

/// The linear probe on k images per class of iNaturalist 2018, one draw.
fn inat_shots(
    settings: &AllSettings,
    backbone: &TrainedBackbone,
    splits: &LabelledSplits,
    progress: Progress,
) -> Measured {
    let show = &mut |event: ClassifierEvent| event.report(progress);
    let part = |shots| {
        let images_per_class = Some(shots);
        let linear = LinearSettings { images_per_class, ..settings.inat18.clone() };
        linear_of_backbone(&linear, settings.crop_scale, backbone, splits, show)
    };
    let name = |shots| format!("{shots} per class");
    let (results, faults) = succeeded(&settings.few_shot.shots, part, name);
    Measured { faults, ..headlines::linear_shots(&results, settings.crop_scale) }
}
