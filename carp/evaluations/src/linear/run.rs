//! The linear probe on feature sets and on a trained backbone.

use std::path::Path;
use std::sync::Arc;

use carp::error::Result;
use carp::learner::Device;
use datasets::{Dataset, Subset};

use super::batches::{AugmentedBatches, StoredBatches};
use super::probe::{linear, untrained_classes};
use super::result::{ClassifierEvent, LinearResult};
use super::settings::LinearSettings;
use crate::features::{ClassIds, FeatureSet, Labelled};
use crate::label_subset;
use crate::trained::{LabelledSplits, TrainedBackbone};

/// The probe on stored features; the paths are only for errors.
///
/// # Errors
/// Sets that do not fit together, and those of [`linear`].
pub fn linear_of_features(
    settings: &LinearSettings,
    (train, train_path): (&FeatureSet, &Path),
    (test, test_path): (&FeatureSet, &Path),
    device: Device,
    show: &mut dyn FnMut(ClassifierEvent),
) -> Result<LinearResult> {
    train.same_classes(test)?;
    let (train_labels, test_labels) = (train.classes(train_path)?, test.classes(test_path)?);
    let untrained = untrained_classes(train_labels, test_labels)?;
    let ids = ClassIds::of(&[train_labels, test_labels]);
    let classes = ids.count();
    let (train_classes, test_classes) = (ids.classes(train_labels), ids.classes(test_labels));
    let set = Labelled { features: &train.features, labels: &train_classes };
    let rows = chosen(settings, &train_classes, classes)?;
    let mut batches = StoredBatches::new(set, train.dim, rows, settings.seed);
    let set = Labelled { features: &test.features, labels: &test_classes };
    let result = linear(settings, &mut batches, set, (train.dim, classes), device, show)?;
    Ok(LinearResult { untrained, ..named(result, &ids, test.names(train)) })
}

/// With the labels of the data instead of classes, and their names.
fn named(result: LinearResult, ids: &ClassIds, names: &[String]) -> LinearResult {
    let confusion = result.confusion.relabelled(|class| ids.label(class)).named(names);
    LinearResult { confusion, ..result }
}

/// The probe on a frozen backbone, in inference mode. With a `crop_scale` it trains on new random
/// views in every epoch ([`TrainedBackbone::training_view`]); without, on fixed features,
/// preprocessed like test images.
///
/// # Errors
/// Images that cannot be read, and those of [`linear`].
pub fn linear_of_backbone(
    settings: &LinearSettings,
    crop_scale: Option<(f32, f32)>,
    backbone: &TrainedBackbone,
    splits: &LabelledSplits,
    show: &mut dyn FnMut(ClassifierEvent),
) -> Result<LinearResult> {
    let LabelledSplits { train, train_labels, test, test_labels, ids, .. } = splits;
    let classes = ids.count();
    let untrained = ids.labels_of(&untrained_classes(train_labels, test_labels)?);
    settings.check()?;
    let views = crop_scale.map(|scale| backbone.training_view(scale)).transpose()?;
    let indices = chosen(settings, train_labels, classes)?;
    let labels: Vec<u32> = indices.iter().map(|&index| train_labels[index as usize]).collect();
    let rows = indices.len();
    let train: Arc<dyn Dataset> = Arc::new(Subset::new(Arc::clone(train), indices));

    let mut extractor = backbone.extractor()?;
    let sizes = (extractor.dim(), classes);
    let test_features = backbone.features(&mut extractor, test)?;
    let names = test.classes();
    let test = Labelled { features: &test_features, labels: test_labels };
    let device = backbone.device;
    let Some(views) = views else {
        let features = backbone.features(&mut extractor, &train)?;
        let set = Labelled { features: &features, labels: &labels };
        let all = (0..rows as u32).collect();
        let mut batches = StoredBatches::new(set, sizes.0, all, settings.seed);
        let result = linear(settings, &mut batches, test, sizes, device, show)?;
        return Ok(LinearResult { untrained, ..named(result, ids, names) });
    };
    let batch = backbone.batch.min(rows);
    let steps = settings.epochs * rows.div_ceil(batch);
    let pipeline = backbone.pipeline(settings.seed, batch, true, steps);
    let mut batches = AugmentedBatches::new((train, &labels), &mut extractor, views, pipeline)?;
    let result = linear(settings, &mut batches, test, sizes, device, show)?;
    Ok(LinearResult { untrained, ..named(result, ids, names) })
}

/// Indices of the training images to use.
fn chosen(settings: &LinearSettings, labels: &[u32], classes: usize) -> Result<Vec<u32>> {
    match settings.images_per_class {
        None => Ok((0..labels.len() as u32).collect()),
        Some(k) => label_subset::per_class(labels, classes, k, settings.seed),
    }
}
