//! OBoW (Gidaris et al., 2021): predict from a crop which visual words the whole image holds.
//!
//! ```text
//! W = l2(generator(l2(words)))                        a word's weights; words of before the step
//! f_v = backbone(crop v) of the student,  v = 1, 2, ..
//! teacher <- m teacher + (1 - m) student
//! maps = teacher's feature maps of view 0, the whole image;  bow = bag of its words
//! L = sum over sizes of crops of mean KL(bow || softmax(kappa f_v W'));  then maps give new words
//! ```
//!
//! View 0 is the teacher's alone: its kind should show the whole image.

use autograd::{Error, Executor, Result, Value};
use methods::Obow;
use methods::unit::unit;
use serde::{Deserialize, Serialize};
use tensor::random::{Purpose, Stream};

use super::definition::{Built, Method};
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
    /// Words.
    pub words: usize,
    /// The teacher's stage that gives the words, such as layer4; its map must be at least 5x5.
    pub layer: String,
}

impl Default for ObowConfig {
    fn default() -> ObowConfig {
        ObowConfig { loss: Obow::default(), words: 8192, layer: "layer4".to_owned() }
    }
}

impl Method for ObowConfig {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (batch, features) = (step.sizes.batch, step.sizes.resnet.features());
        if self.words == 0 || !self.words.is_multiple_of(batch) {
            let detail = format!(
                "method.words is {}, should be a multiple of train.batch_size = {batch}",
                self.words
            );
            return Err(Error::setting("words", detail));
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
        let maps = teacher.feature_map(&mut step.graph, whole, &self.layer)?;
        let &[_, height, width, channels] = &step.graph.shape(maps)[..] else {
            unreachable!("a stage gives maps")
        };
        let words = step.state("words", &[self.words, channels], Init::HalfNormal);
        let mean_distance = step.state("mean_distance", &[1], Init::Constant(FIRST_DISTANCE));
        let place = step.graph.input_u32("word_place", [batch]);
        let generator = step.predictor(
            channels,
            &MlpConfig { biases: false, ..MlpConfig::relu(&[2 * features, features]) },
        );
        let directions = unit(&mut step.graph, words);
        let weights = step.predicted(&generator, directions)?;
        let g = &mut step.graph;
        let weights = unit(g, weights);
        let loss = g.scope("loss", |g| -> Result<Value> {
            let bags = self.loss.bags(g, maps, words, mean_distance)?;
            let mut losses = Vec::new();
            for features in crop_features {
                let crops = g.shape(features).rows() / batch;
                for crop in 0..crops {
                    let of_crop = g.slice_rows(features, crop * batch, batch)?;
                    let loss = self.loss.loss(g, of_crop, weights, bags)?;
                    losses.push(g.scale(loss, 1.0 / crops as f32));
                }
            }
            let losses = g.concat_rows(&losses)?;
            Ok(g.sum(losses))
        })?;
        let new_words = self.loss.new_words(g, maps, place)?;
        step.afterwards.push(Box::new(move |g| methods::queue::push(g, words, new_words)));
        // The border is cut off, and the rest averaged over 3x3.
        let hooks = Places { place, of_image: ((height - 4) * (width - 4)) as u32 };
        Ok(Built { hooks: Box::new(hooks), ..Built::of(loss) })
    }
}

/// A random place of each image's map for its new word.
struct Places {
    place: Value,
    of_image: u32,
}

impl Hooks for Places {
    fn before_forward(&mut self, at: Moment, images: &[u32], executor: &mut Executor) {
        let mut stream = Stream::new(at.seed, Purpose::Sample, at.step as u64, 0);
        let places = (0..images.len() as u32)
            .map(|image| image * self.of_image + stream.below(self.of_image));
        executor.write_u32(self.place, &places.collect::<Vec<u32>>());
    }
}
