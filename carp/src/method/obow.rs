//! OBoW (Gidaris et al., 2021): predict from a crop which visual words the whole image holds.
//!
//! ```text
//! W_l = l2(generator_l(l2(words_l)))                  a word's weights; words of before the step
//! f_v = backbone(crop v) of the student,  v = 1, 2, ..
//! teacher <- m teacher + (1 - m) student
//! maps_l = teacher's feature maps of view 0, the whole image;  bow_l = bag of its words
//! L = sum over sizes of crops of mean KL(bow_l || softmax(kappa f_v W_l'));  then maps give new words
//! ```
//!
//! Levels l are stages of the backbone, each with words of its own. View 0 is the teacher's alone: its
//! kind should show the whole image.

use autograd::{Error, Executor, Result, Value};
use methods::Obow;
use methods::unit::unit;
use serde::{Deserialize, Serialize};
use tensor::random::{Purpose, Stream};

use super::definition::{Built, Method, Range};
use super::hooks::{Hooks, Moment};
use crate::nn::{Init, MlpConfig};
use crate::step_builder::StepBuilder;

/// Mean distance to the nearest word at the start.
const FIRST_DISTANCE: f32 = 0.5;

/// The settings, by default the authors' for a ResNet-50.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObowConfig {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: Obow,
    /// Words of each level.
    pub words: usize,
    /// The levels: the teacher's stages that give words, such as layer4; maps must be at least 5x5.
    pub layers: Vec<String>,
}

impl Default for ObowConfig {
    fn default() -> ObowConfig {
        let layers = ["layer3", "layer4"].map(str::to_owned).to_vec();
        ObowConfig { loss: Obow::default(), words: 8192, layers }
    }
}

impl Method for ObowConfig {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("inv_delta", Range::Positive),
            ("momentum", Range::Share),
            ("kappa", Range::Positive),
            ("words", Range::AtLeast(0)),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let batch = step.sizes.shard_batch;
        if self.layers.is_empty() {
            return Err(Error::setting("method.layers", "empty, should be one stage or more"));
        }
        if self.words == 0 || !self.words.is_multiple_of(batch) {
            let detail =
                format!("{}, should be a multiple of train.batch_size = {batch}", self.words);
            return Err(Error::setting("method.words", detail));
        }
        let none = MlpConfig::relu(&[]);
        let student = step.student(&none, None);
        let teacher = step.teacher(&none, None);
        let crops = step.views_in(1..step.sizes.view_sizes.len());
        let whole = step.views_in(0..1)[0];

        let mut crop_features = Vec::new();
        for &crops in &crops {
            crop_features.push(student.features(&mut step.graph, &[crops], true)?);
        }
        step.move_teacher()?;
        let maps = teacher.feature_maps(&mut step.graph, whole, &self.layers)?;
        let mut levels = Vec::new();
        for (number, &maps) in maps.iter().enumerate() {
            levels.push(self.level(step, number, maps)?);
        }
        let g = &mut step.graph;
        let loss = g.scope("loss", |g| -> Result<Value> {
            let mut losses = Vec::new();
            for level in &levels {
                let bags = self.loss.bags(g, level.maps, level.words, level.mean_distance)?;
                for &features in &crop_features {
                    let crops = g.shape(features).rows() / batch;
                    for crop in 0..crops {
                        let of_crop = g.slice_rows(features, crop * batch, batch)?;
                        let loss = self.loss.loss(g, of_crop, level.weights, bags)?;
                        losses.push(g.scale(loss, 1.0 / (crops * levels.len()) as f32));
                    }
                }
            }
            let losses = g.concat_rows(&losses)?;
            Ok(g.sum(losses))
        })?;
        let mut places = Vec::new();
        for Level { maps, words, place, .. } in levels {
            let g = &mut step.graph;
            let new_words = self.loss.new_words(g, maps, place)?;
            let (height, width) = (g.shape(maps)[1], g.shape(maps)[2]);
            step.afterwards.push(Box::new(move |g| methods::queue::push(g, words, new_words)));
            // The border is cut off, and the rest averaged over 3x3.
            places.push((place, ((height - 4) * (width - 4)) as u32));
        }
        Ok(Built { hooks: Box::new(Places(places)), ..Built::of(loss) })
    }
}

impl ObowConfig {
    /// The words of one level, and their weights.
    fn level(&self, step: &mut StepBuilder, number: usize, maps: Value) -> Result<Level> {
        let (batch, features) = (step.sizes.shard_batch, step.sizes.resnet.features());
        let channels = step.graph.shape(maps).columns();
        let name = |kind: &str| format!("{kind}.{number}");
        let words = step.state(&name("words"), &[self.words, channels], Init::HalfNormal);
        let first = Init::Constant(FIRST_DISTANCE);
        let mean_distance = step.state(&name("mean_distance"), &[1], first);
        let place = step.graph.input_u32(&name("word_place"), [batch]);
        let layers = MlpConfig { biases: false, ..MlpConfig::relu(&[2 * features, features]) };
        let generator = step.predictor(&name("predictor"), channels, &layers);
        let directions = unit(&mut step.graph, words);
        let weights = step.predicted(&generator, directions)?;
        let weights = unit(&mut step.graph, weights);
        Ok(Level { maps, words, mean_distance, weights, place })
    }
}

/// The words from one stage of the backbone.
struct Level {
    /// The teacher's maps `[B,H,W,C]`.
    maps: Value,
    /// `[W,C]`.
    words: Value,
    /// To the nearest word, `[1]`.
    mean_distance: Value,
    /// `[W,F]`.
    weights: Value,
    /// Input: where each map has its new word, `[B]`.
    place: Value,
}

/// For each level a random place of each image's map for its new word, out of so many.
struct Places(Vec<(Value, u32)>);

impl Hooks for Places {
    fn before_forward(&mut self, at: Moment, images: &[u32], executor: &mut Executor) {
        for (level, &(place, of_image)) in (0..).zip(&self.0) {
            let mut stream = Stream::new(at.seed, Purpose::Sample, at.step as u64, level);
            let places =
                (0..images.len() as u32).map(|image| image * of_image + stream.below(of_image));
            executor.write_u32(place, &places.collect::<Vec<u32>>());
        }
    }
}
