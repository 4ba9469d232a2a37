//! The paper's data sets, each with the paper's protocols for it.

use std::path::Path;
use std::sync::Arc;

use carp::error::Result;
use carp::learner::Device;
use carp::views::EvalTransform;
use datasets::catalogue::{ALL, Contents, DataSet, Query};
use datasets::{Change, Changed, Crop, DataConfig, DataKind, Dataset, Progress, Reading, Subset};

use super::headlines;
use super::look::Look;
use super::own_data::{
    Pair, backbone, described, features as own_features, fine_tuned, linear, pair,
};
use super::protocol::Protocol;
use super::recorder::{EvaluationEvent, Recorder};
use super::report::Measured;
use super::settings::AllSettings;
use crate::backbone::Backbone;
use crate::copy_detection::{CopyBlock, CopyDetectionOptions, CopyFeatures, CopyNames};
use crate::features::{AnySize, FeatureSet, SCALES};
use crate::linear::{LinearSettings, linear_of_backbone};
use crate::network_file::{NetworkFile, NetworkName};
use crate::retrieval::{Relevance, RetrievalOptions};
use crate::trained::{LabelledSplits, TrainedBackbone, labels};
use crate::{copy_detection, label_subset, retrieval};

/// Little cache for decoded images: each is read once, or in every epoch with random crops.
const READING: Reading = Reading { strict: false, cache: 256 << 20 };

/// Runs the paper's protocols on each data set that has a folder of its name below `root`, once per
/// network.
///
/// # Errors
/// A network that cannot be read, a file that cannot be written. An error with a data set is
/// recorded in the report, and the others go on.
pub fn evaluate_paper_sets(
    recorder: &mut Recorder,
    source: &mut NetworkFile,
    networks: &[NetworkName],
    root: &Path,
    (look, batch): (&Look, usize),
    device: Device,
) -> Result<()> {
    let mut networks_ready = Vec::new();
    for &network in networks {
        let ready = backbone(source, network, &look.transform, batch, device)?;
        networks_ready.push((network, ready));
    }
    for set in &ALL {
        let folder = root.join(set.name);
        if !folder.is_dir() {
            let why = format!("no folder {}", folder.display());
            recorder.skip(set.name, None, None, why, false);
            continue;
        }
        let config = DataConfig { kind: set.kind, path: Some(folder), ..DataConfig::default() };
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
                    let (_, Pair { train, test }) = known.as_ref().expect("just made");
                    let images = self.images(&transform);
                    recorder.measure(self.names(protocol), images, |settings| match protocol {
                        Protocol::Knn => headlines::knn(train, test, settings),
                        Protocol::FewShot => headlines::few_shot(train, test, settings),
                        _ => headlines::kmeans(train, test, settings),
                    })?;
                    if is_part {
                        known = None;
                    }
                }
            }
        }
        Ok(())
    }

    fn names(&self, protocol: Protocol) -> (&'static str, &'static str, Protocol) {
        (self.set.name, self.network.name(), protocol)
    }

    fn images(&self, transform: &EvalTransform) -> String {
        described(transform, (self.set.train, self.set.test))
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
        let mut train = contents.dataset(self.set.train, READING)?;
        let test = contents.dataset(self.set.test, READING)?;
        if let Some((share, seed)) = share {
            let labels = labels(&*train)?;
            let indices = label_subset::balanced(&labels, train.classes().len(), share, seed)?;
            train = Arc::new(Subset { data: train, indices });
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
        let splits = match splits {
            Some(splits) => splits,
            None => splits.insert(LabelledSplits::of(
                contents.dataset(self.set.train, READING)?,
                contents.dataset(self.set.test, READING)?,
            )?),
        };
        let is_inat = self.set.kind == DataKind::INat2018;
        recorder.measure(self.names(protocol), images, |settings| match protocol {
            Protocol::Semi => fine_tuned(settings, &backbone, splits),
            Protocol::FewShot => inat_shots(settings, &backbone, splits),
            _ if is_inat => {
                let linear = inat18(settings);
                let crop_scale = settings.crop_scale;
                let show = &mut |_: crate::linear::ClassifierEvent| ();
                let result = linear_of_backbone(&linear, crop_scale, &backbone, splits, show)?;
                Ok(headlines::linear(&result, crop_scale))
            }
            _ => linear(settings, Some(&backbone), splits, None, self.device),
        })
    }

    fn retrieval(
        &self,
        recorder: &mut Recorder,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
    ) -> Result<()> {
        let Some(backbone) = backbone else { return Ok(()) };
        let mut any_size = AnySize::new(plain(backbone), self.device);
        let transform = self.look.transform(Protocol::Retrieval, self.set.kind);
        let (fit, boxes) = {
            let AllSettings { fit, query_boxes, .. } = recorder.settings();
            (*fit, *query_boxes)
        };
        let mut features = |name: &str| -> Result<FeatureSet> {
            let mut data = contents.dataset(name, READING)?;
            if boxes && name == "queries" {
                let change = Change::Crop(contents.queries.iter().map(box_of).collect());
                data = Arc::new(Changed { data, change });
            }
            let data = Changed { data, change: Change::Fit(fit) };
            let (what, images) = (format!("{name} of {}", self.set.name), data.len());
            any_size.feature_set(&data, &transform, &SCALES, |done| {
                recorder.show(EvaluationEvent::Features { what: what.clone(), done, images });
            })
        };
        let (database, queries) = (features("database")?, features("queries")?);
        let lists =
            |of: fn(&Query) -> &Vec<u32>| contents.queries.iter().map(of).cloned().collect();
        let relevance = Relevance {
            easy: lists(|query| &query.easy),
            hard: lists(|query| &query.hard),
            junk: lists(|query| &query.junk),
        };
        let boxes = if boxes { "cropped to their boxes" } else { "not cropped" };
        let line = format!("scales 1, 1/sqrt(2), 1/2 (bilinear), cosine; queries {boxes}");
        let images = format!(
            "images of database, tested on queries: shrunk to fit {fit} pixels (lanczos), {}",
            transform.standardisation()
        );
        recorder.measure(self.names(Protocol::Retrieval), images, |_| {
            let options = RetrievalOptions::default();
            let result =
                retrieval::evaluate(&database, &queries, &relevance, options, Progress::none())?;
            Ok(headlines::retrieval(&result, &line))
        })
    }

    fn copy_detection(
        &self,
        recorder: &mut Recorder,
        contents: &Contents,
        backbone: Option<&TrainedBackbone>,
    ) -> Result<()> {
        let AllSettings { copy_side: side, copy_top: top, distractors, .. } =
            recorder.settings().clone();
        let transform = self.look.transform(Protocol::CopyDetection, self.set.kind);
        let transform = EvalTransform { resize: side, size: side, ..transform };
        let mut features = |data: Arc<dyn Dataset>| -> Result<FeatureSet> {
            let data = Changed { data, change: Change::Stretch(side) };
            own_features(backbone, &transform, &data, self.network.name(), recorder)
        };
        // Names and features must be of the same images.
        let readable = |split| -> Result<_> {
            Ok(Subset::readable(contents.dataset(split, READING)?, Progress::none())?)
        };
        let originals = readable("original")?;
        let mut names = CopyNames { originals: file_names(&*originals), blocks: vec![] };
        let originals = features(originals)?;
        let mut queries = FeatureSet { features: vec![], ..originals.clone() };
        for split in contents.splits.iter().filter(|split| split.name != "original") {
            let data = readable(split.name)?;
            let block = CopyBlock { name: split.name.to_owned(), queries: file_names(&*data) };
            names.blocks.push(block);
            queries.features.extend(features(data)?.features);
        }
        let distractors = match &distractors {
            Some(folder) => Some(features(folder_of_images(folder)?)?),
            None => None,
        };
        let rows = distractors.as_ref().map_or(0, FeatureSet::rows);
        let line = format!("cosine, {rows} distractors");
        let images = format!(
            "images of original, tested on the other splits: stretched to {side} x {side} \
             (bicubic), {}",
            transform.standardisation()
        );
        recorder.measure(self.names(Protocol::CopyDetection), images, |_| {
            let sets = CopyFeatures { originals, queries, distractors, whitening: None };
            let options = CopyDetectionOptions { top, ..CopyDetectionOptions::default() };
            let result = copy_detection::evaluate(sets, &names, options, Progress::none())?;
            Ok(headlines::copy_detection(&result, &line))
        })
    }
}

fn plain(backbone: &TrainedBackbone) -> Backbone {
    Backbone { config: backbone.resnet, tensors: backbone.tensors.clone() }
}

fn file_names(data: &dyn Dataset) -> Vec<String> {
    let name = |index| {
        let file = data.file(index).and_then(Path::file_name).unwrap_or_default();
        file.to_string_lossy().into_owned()
    };
    (0..data.len()).map(name).collect()
}

fn folder_of_images(folder: &Path) -> Result<Arc<dyn Dataset>> {
    let path = Some(folder.to_owned());
    let config = DataConfig { kind: DataKind::Folder, path, ..DataConfig::default() };
    Ok(config.open(0)?.pretrain)
}

/// The box of a query, rounded to whole pixels.
pub fn box_of(query: &Query) -> Crop {
    let [left, top, right, bottom] = query.bbx.map(|place| place.round().max(0.0) as usize);
    Crop { top, left, height: bottom.saturating_sub(top), width: right.saturating_sub(left) }
}

/// The authors' settings for iNaturalist 2018, with fewer epochs on request.
fn inat18(settings: &AllSettings) -> LinearSettings {
    let authors = LinearSettings::inat18();
    let epochs = authors.epochs.min(settings.linear.epochs);
    LinearSettings { epochs, seed: settings.seed, ..authors }
}

/// The same on k images per class, one draw.
fn inat_shots(
    settings: &AllSettings,
    backbone: &TrainedBackbone,
    splits: &LabelledSplits,
) -> Result<Measured> {
    let mut results = Vec::new();
    for &shots in &settings.few_shot.shots {
        let linear = LinearSettings { images_per_class: Some(shots), ..inat18(settings) };
        let show = &mut |_: crate::linear::ClassifierEvent| ();
        results.push(linear_of_backbone(&linear, settings.crop_scale, backbone, splits, show)?);
    }
    Ok(headlines::linear_shots(&results, settings.crop_scale))
}
