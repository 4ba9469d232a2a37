//! Each protocol's headline numbers and the settings to print with them.

use carp::error::Result;
use datasets::Progress;
use serde::Serialize;

use super::report::{Measured, Score, json_value};
use super::settings::AllSettings;
use crate::clustering::{ClusteringOptions, ClusteringResult};
use crate::copy_detection::CopyDetectionResult;
use crate::features::FeatureSet;
use crate::few_shot::{FewShotOptions, FewShotResult};
use crate::linear::LinearResult;
use crate::retrieval::RetrievalResult;
use crate::semi::SemiResult;
use crate::{clustering, few_shot, knn};

fn measured(settings: String, scores: Vec<Score>, result: &impl Serialize) -> Measured {
    let result = json_value(result);
    Measured { settings, scores, result, faults: vec![] }
}

pub fn knn(
    train: &FeatureSet,
    test: &FeatureSet,
    settings: &AllSettings,
    progress: Progress,
) -> Result<Measured> {
    let result = knn::evaluate(train, test, settings.knn.clone(), progress)?;
    let mut scores = Vec::new();
    for accuracy in &result.accuracies {
        scores.push(Score::percent(format!("top-1, k = {}", accuracy.name()), accuracy.top1));
    }
    for accuracy in &result.accuracies {
        scores.push(Score::percent(format!("top-5, k = {}", accuracy.name()), accuracy.top5));
    }
    let (t, bank, queries) = (result.options.temperature, result.bank, result.queries);
    let line = format!("cosine, votes exp(s / {t}); {queries} test against {bank} training images");
    Ok(measured(line, scores, &result))
}

pub fn linear(result: &LinearResult, crop_scale: Option<(f32, f32)>) -> Measured {
    let (best, settings) = (result.best(), &result.settings);
    let scores = vec![
        Score::percent("top-1", best.best.test.top1),
        Score::percent("top-5", best.best.test.top5),
        Score::percent("top-1, last epoch", best.last.test.top1),
    ];
    let views = match crop_scale {
        Some((low, high)) => format!("random crops of {low} to {high} of the area, mirrored"),
        None => "fixed features, preprocessed like test images".to_owned(),
    };
    let optimizer = format!("{:?}", settings.optimizer).to_uppercase();
    let line = format!(
        "{optimizer}, learning rate {}, {} epochs of batches of {}, {views}; best epoch ({}), seed {}",
        best.lr, settings.epochs, settings.batch_size, best.best.epoch, settings.seed
    );
    measured(line, scores, result)
}

/// One result per number of images per class.
pub fn linear_shots(results: &[LinearResult], crop_scale: Option<(f32, f32)>) -> Measured {
    let mut scores = Vec::new();
    for result in results {
        let shots = result.settings.images_per_class.unwrap_or(0);
        let top1 = result.best().best.test.top1;
        scores.push(Score::percent(format!("top-1, {shots} per class"), top1));
    }
    let line = results.first().map_or(String::new(), |first| linear(first, crop_scale).settings);
    measured(format!("linear probe, one draw: {line}"), scores, &results)
}

pub fn few_shot(
    train: &FeatureSet,
    test: &FeatureSet,
    settings: &AllSettings,
    progress: Progress,
) -> Result<Measured> {
    let full = settings.few_shot.full && train.rows() <= settings.full_up_to;
    let options = FewShotOptions { full, ..settings.few_shot.clone() };
    let result: FewShotResult = few_shot::evaluate(train.clone(), test.clone(), options, progress)?;
    let mut scores = Vec::new();
    for score in &result.scores {
        let images = match score.shots {
            Some(1) => "1 image".to_owned(),
            Some(shots) => format!("{shots} images"),
            None => "all images".to_owned(),
        };
        let sd = score.shots.map(|_| 100.0 * score.map_sd);
        let (name, value) = (format!("mAP, {images}"), 100.0 * score.map);
        scores.push(Score { name, value, sd });
    }
    let notes = result
        .scores
        .iter()
        .filter_map(|score| Some(format!("; {} images: {}", score.name(), score.note()?)));
    let notes: String = notes.collect();
    let options = &result.options;
    let full = if options.full { "" } else { "; all images skipped: too many" };
    let line = format!(
        "linear SVMs, C of {:?}, weights {}:{}; mean of {} draws, seed {}{full}{notes}",
        options.costs,
        options.svm.positive_weight,
        options.svm.negative_weight,
        options.draws,
        options.seed
    );
    Ok(measured(line, scores, &result))
}

pub fn kmeans(
    train: &FeatureSet,
    test: &FeatureSet,
    settings: &AllSettings,
    progress: Progress,
) -> Result<Measured> {
    let mut options = ClusteringOptions::default();
    options.kmeans.seed = settings.seed;
    let result: ClusteringResult =
        clustering::evaluate(train.clone(), Some(test.clone()), options, progress)?;
    let found = &result.scores;
    let scores = [
        ("NMI", found.nmi),
        ("AMI", found.ami),
        ("ARI", found.ari),
        ("FMI", found.fowlkes_mallows),
        ("homogeneity", found.homogeneity),
        ("completeness", found.completeness),
        ("V-measure", found.v_measure),
        ("accuracy", found.accuracy),
    ];
    let scores = scores.into_iter().map(|(name, score)| Score::percent(name, score)).collect();
    let options = &result.options;
    let line = format!(
        "spherical k-means on standardised features, {} clusters of {} images, {} iterations, best \
         of {} starts, seed {}",
        options.kmeans.clusters,
        result.points,
        options.kmeans.iterations,
        options.kmeans.starts,
        options.kmeans.seed
    );
    Ok(measured(line, scores, &result))
}

pub fn retrieval(result: &RetrievalResult, line: &str) -> Measured {
    let mut scores = Vec::new();
    for (name, score) in [("Medium", &result.medium), ("Hard", &result.hard)] {
        scores.extend(score.map.map(|map| Score::percent(format!("{name} mAP"), map)));
        let precisions = result.options.precision_at.iter().zip(&score.mean_precision);
        scores.extend(precisions.filter_map(|(k, &precision)| {
            Some(Score::percent(format!("{name} mP@{k}"), precision?))
        }));
    }
    measured(line.to_owned(), scores, result)
}

pub fn copy_detection(result: &CopyDetectionResult, line: &str) -> Measured {
    let blocks = result.blocks.iter();
    let scores = blocks.map(|block| Score::percent(format!("{} mAP", block.name), block.map));
    let depth = result.depth();
    measured(format!("{line}; {depth}, not whitened"), scores.collect(), result)
}

pub fn semi(results: &[SemiResult]) -> Measured {
    let mut scores = Vec::new();
    for result in results {
        let images = result.train_images;
        scores.push(Score::percent(format!("top-1, {images} labels"), result.best.test.top1));
        scores.push(Score::percent(format!("top-5, {images} labels"), result.best.test.top5));
    }
    let first = results.first().map(|result| &result.settings);
    let (epochs, seed) = first.map_or((0, 0), |settings| (settings.epochs, settings.seed));
    let line = format!("SwAV's settings, {epochs} epochs; best epoch, seed {seed}");
    measured(line, scores, &results)
}
