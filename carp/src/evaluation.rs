//! k-NN accuracy of a backbone during and after training, on a held-out split.

use std::sync::Arc;

use rayon::prelude::*;

use crate::config::Config;
use crate::data::{Dataset, Image, Splits};
use crate::error::Result;
use crate::eval::knn::{KnnAccuracy, Labelled, knn, neighbours};
use crate::features::FeatureExtractor;
use crate::learner::Device;
use crate::report::Row;
use crate::views::{EvalTransform, Scratch};

/// What k-NN says of a backbone.
pub struct Quality {
    /// Fraction of queries whose class k-NN found.
    pub accuracy: f64,
    /// Features of the bank, `[bank, dim]`.
    pub bank: Vec<f32>,
    /// Features of the queries, `[queries, dim]`.
    pub queries: Vec<f32>,
    /// Length of a feature vector.
    pub dim: usize,
}

/// A labelled bank and labelled queries, with a network to find their features.
pub struct Evaluation {
    bank: Set,
    queries: Set,
    classes: usize,
    k: usize,
    temperature: f32,
    extractor: FeatureExtractor,
    transform: EvalTransform,
}

/// Some images of a data set.
struct Set {
    data: Arc<dyn Dataset>,
    count: usize,
}

impl Set {
    /// At most `most` images, or all if that is 0: evenly spaced, since folders come class by class.
    fn new(data: &Arc<dyn Dataset>, most: usize) -> Set {
        let count = if most == 0 { data.len() } else { most.min(data.len()) };
        Set { data: Arc::clone(data), count }
    }

    /// Where the data set has the image of this number.
    fn place(&self, number: usize) -> usize {
        number * self.data.len() / self.count
    }

    fn label(&self, number: usize) -> u32 {
        self.data.label(self.place(number)).unwrap_or(0)
    }

    fn labels(&self) -> Vec<u32> {
        (0..self.count).map(|number| self.label(number)).collect()
    }

    fn image(&self, number: usize) -> Result<Arc<Image>> {
        self.data.image(self.place(number))
    }
}

impl Evaluation {
    /// The evaluation of a run, or `None` where the data has no labels.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn new(config: &Config, splits: &Splits, device: Device) -> Result<Option<Evaluation>> {
        let (Some(train), Some(test)) = (&splits.train, &splits.test) else { return Ok(None) };
        let transform = config.eval_transform();
        let resnet = config.step().resnet;
        let knn = &config.knn;
        let size = transform.size;
        let extractor = FeatureExtractor::new(&resnet, knn.batch_size, size, device)?;
        Ok(Some(Evaluation {
            bank: Set::new(train, knn.bank),
            queries: Set::new(test, knn.queries),
            classes: train.classes().len(),
            k: knn.k,
            temperature: knn.temperature,
            extractor,
            transform,
        }))
    }

    /// Features and k-NN accuracy of a backbone (torchvision's names, this project's layout).
    ///
    /// # Errors
    /// A missing weight, or an image that cannot be read.
    pub fn measure(&mut self, backbone: &[(String, Vec<f32>)]) -> Result<Quality> {
        self.extractor.load(backbone)?;
        let bank = features(&mut self.extractor, &self.transform, &self.bank)?;
        let queries = features(&mut self.extractor, &self.transform, &self.queries)?;
        let dim = self.extractor.dim();
        let accuracy = self.accuracies(&bank, &queries, dim, &[self.k])?[0].top1;
        Ok(Quality { accuracy, bank, queries, dim })
    }

    /// k-NN accuracy of the pixels themselves, as evaluations see them.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn pixels(&self) -> Result<f64> {
        let (bank, dim) = pixel_features(&self.transform, &self.bank)?;
        let (queries, _) = pixel_features(&self.transform, &self.queries)?;
        Ok(self.accuracies(&bank, &queries, dim, &[self.k])?[0].top1)
    }

    /// k-NN accuracy of features `[bank, dim]` and `[queries, dim]` for several k.
    ///
    /// # Errors
    /// A k of 0.
    pub fn accuracies(
        &self,
        bank: &[f32],
        queries: &[f32],
        dim: usize,
        ks: &[usize],
    ) -> Result<Vec<KnnAccuracy>> {
        let (bank_labels, query_labels) = (self.bank.labels(), self.queries.labels());
        knn(
            Labelled { features: bank, labels: &bank_labels },
            Labelled { features: queries, labels: &query_labels },
            dim,
            self.classes,
            ks,
            self.temperature,
        )
    }

    /// Rows for the picture of a run: the first queries of as many classes as there are (at most
    /// `rows`), each with its `most` nearest training pictures by either network.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn rows(
        &self,
        before: &Quality,
        after: &Quality,
        rows: usize,
        most: usize,
    ) -> Result<Vec<Row>> {
        let labels = self.queries.labels();
        let first_of = |class: u32| labels.iter().position(|&label| label == class);
        let chosen = (0..self.classes as u32).filter_map(first_of).take(rows);
        let near = |quality: &Quality, query: usize| -> Result<Vec<_>> {
            let row = &quality.queries[query * quality.dim..][..quality.dim];
            let nearest = neighbours(&quality.bank, row, quality.dim, most);
            let picture = |&(_, index): &(f32, u32)| {
                let index = index as usize;
                let is_right = self.bank.label(index) == labels[query];
                Ok((Arc::unwrap_or_clone(self.bank.image(index)?), is_right))
            };
            nearest[0].iter().map(picture).collect()
        };
        chosen
            .map(|query| {
                Ok(Row {
                    query: Arc::unwrap_or_clone(self.queries.image(query)?),
                    before: near(before, query)?,
                    after: near(after, query)?,
                })
            })
            .collect()
    }
}

/// Features `[N,D]` of all images by the network that the extractor holds.
///
/// # Errors
/// An image that cannot be read.
pub fn all_features(
    extractor: &mut FeatureExtractor,
    transform: &EvalTransform,
    data: &Arc<dyn Dataset>,
) -> Result<Vec<f32>> {
    features(extractor, transform, &Set::new(data, 0))
}

/// Features of a set by the network that the extractor holds.
fn features(
    extractor: &mut FeatureExtractor,
    transform: &EvalTransform,
    set: &Set,
) -> Result<Vec<f32>> {
    extractor.extract(set.count, |first, pixels| {
        let image_len = transform.size * transform.size * set.data.channels();
        pixels.par_chunks_mut(image_len).enumerate().try_for_each_init(
            Scratch::default,
            |scratch, (i, pixels)| {
                let image = set.image(first + i)?;
                transform.apply(&image, pixels, scratch);
                Ok(())
            },
        )
    })
}

/// The pixels of a set, from 0 to 1, and how many an image has.
fn pixel_features(transform: &EvalTransform, set: &Set) -> Result<(Vec<f32>, usize)> {
    let dim = transform.size * transform.size * set.data.channels();
    let mut features = vec![0.0; set.count * dim];
    features.par_chunks_mut(dim).enumerate().try_for_each_init(
        Scratch::default,
        |scratch, (i, features)| -> Result<()> {
            let image = set.image(i)?;
            for (feature, &pixel) in features.iter_mut().zip(transform.pixels(&image, scratch)) {
                *feature = f32::from(pixel) / 255.0;
            }
            Ok(())
        },
    )?;
    Ok((features, dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::MemoryDataset;

    #[test]
    fn a_part_of_the_data_has_all_classes() {
        // Ten pictures each of three classes, class by class as folders have them.
        let data: Arc<dyn Dataset> = Arc::new(MemoryDataset {
            name: "test".to_owned(),
            size: (1, 1, 1),
            pixels: (0..30).collect(),
            labels: (0..30).map(|i| i / 10).collect(),
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        });
        assert_eq!(Set::new(&data, 6).labels(), [0, 0, 1, 1, 2, 2]);
        assert_eq!(Set::new(&data, 4).labels(), [0, 0, 1, 2]);
        for all in [0, 30, 31] {
            let set = Set::new(&data, all);
            assert_eq!((set.count, set.place(0), set.place(29)), (30, 0, 29));
        }
        let set = Set::new(&data, 6);
        let pixels = |number| set.image(number).unwrap().pixels.clone();
        assert_eq!((pixels(1), pixels(5)), (vec![5], vec![25]));
    }
}
