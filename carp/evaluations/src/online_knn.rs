//! k-NN accuracy of a backbone during and after training, on a held-out split. Of ranks, each computes
//! the features of its part of the images, and classifies its part of the queries.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use autograd::{Alone, Transport};
use carp::config::Config;
use carp::error::Result;
use carp::learner::Device;
use carp::train::Monitor;
use datasets::{DataSize, Dataset, Progress, Splits, Subset};

use crate::features::{Encoder, FeatureExtractor, Labelled, POOLED, pixels};
use crate::knn::knn;
use crate::neighbours::{memory, neighbours};
use crate::picture_sheet::{Frame, Picture, Row, draw};

/// Rows in the image of a run.
const ROWS: usize = 10;
/// Neighbours per row and network.
const NEIGHBOURS: usize = 6;
/// Features that a rank tells the others at once.
const TOLD: usize = 1 << 20;
/// Most bytes of raw pixels that are compared: half of a machine's 16 GiB, or 14,000 images of 224 x 224.
pub const PIXELS: usize = 8 << 30;

/// A k-NN measurement of a backbone.
struct Quality {
    /// Accuracy, a fraction.
    accuracy: f64,
    /// Features of the bank, `[bank, dim]`.
    bank: Vec<f32>,
    /// Features of the queries, `[queries, dim]`.
    queries: Vec<f32>,
    /// Length of a feature vector.
    dim: usize,
}

/// Bytes that the measurements of a run take beside the step and the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnnMemory {
    /// The network's arena, and a batch of its images.
    pub network: usize,
    /// Features of the bank and of the queries, of one measurement: at the end there are two.
    pub features: usize,
    /// Beside them, to compare raw pixels at the end; 0 if they are more than [`PIXELS`].
    pub pixels: usize,
}

/// Bytes of the raw pixels of so many images, if they are compared.
fn pixel_bytes(config: &Config, images: usize) -> Option<usize> {
    let bytes = size_of::<f32>() * images * config.eval_transform().values();
    (bytes <= PIXELS).then_some(bytes)
}

impl KnnMemory {
    /// That of a run; all 0 if it measures nothing.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn planned(config: &Config, data: &DataSize, device: Device) -> Result<KnnMemory> {
        if data.train == 0 || data.test == 0 {
            return Ok(KnnMemory::default());
        }
        let (resnet, knn) = (config.step().resnet, &config.knn);
        let (network, dim) = FeatureExtractor::planned(&resnet, knn.batch_size, knn.size, device)?;
        let (bank, queries) = (part_len(data.train, knn.bank), part_len(data.test, knn.queries));
        let features = size_of::<f32>() * (bank + queries) * dim;
        let values = config.eval_transform().values();
        let search = || memory(bank, queries, values, config.threads());
        let pixels = pixel_bytes(config, bank + queries).map_or(0, |bytes| bytes + search());
        Ok(KnnMemory { network, features, pixels })
    }
}

/// A labelled bank and labelled queries, with a network to compute their features.
pub struct OnlineKnn {
    bank: Arc<dyn Dataset>,
    queries: Arc<dyn Dataset>,
    classes: usize,
    k: usize,
    temperature: f32,
    encoder: Encoder,
    ranks: Arc<dyn Transport>,
    compares_pixels: bool,
    /// The first and the last measurement.
    first: Option<Quality>,
    last: Option<Quality>,
}

/// What the bank and the queries are taken from, if there are images for both.
fn measured(splits: &Splits) -> Option<[&Arc<dyn Dataset>; 2]> {
    let both = [splits.train.as_ref()?, splits.test.as_ref()?];
    both.iter().all(|data| !data.is_empty()).then_some(both)
}

/// At most `most` images, from everywhere, or all if 0.
pub fn part(data: &Arc<dyn Dataset>, most: usize) -> Arc<dyn Dataset> {
    Subset::spread(Arc::clone(data), part_len(data.len(), most))
}

/// How many images [`part`] takes of `len`.
fn part_len(len: usize, most: usize) -> usize {
    if most == 0 { len } else { most.min(len) }
}

fn labels(data: &dyn Dataset) -> Vec<u32> {
    (0..data.len()).map(|number| data.label(number).unwrap_or(0)).collect()
}

impl OnlineKnn {
    /// The evaluation of a run, or `None` where the data has no labels or no images for it.
    ///
    /// # Errors
    /// Images too small for the backbone; an image that cannot be read, if the data set skips none.
    pub fn new(config: &Config, splits: &Splits, device: Device) -> Result<Option<OnlineKnn>> {
        OnlineKnn::among(config, splits, device, Arc::new(Alone))
    }

    /// As [`OnlineKnn::new`], as one of the ranks that share the work.
    ///
    /// # Errors
    /// As [`OnlineKnn::new`].
    pub fn among(
        config: &Config,
        splits: &Splits,
        device: Device,
        ranks: Arc<dyn Transport>,
    ) -> Result<Option<OnlineKnn>> {
        let Some([train, test]) = measured(splits) else { return Ok(None) };
        let (resnet, knn) = (config.step().resnet, &config.knn);
        let transform = config.eval_transform();
        // Of all images, readable or not, as planned.
        let images = part_len(train.len(), knn.bank) + part_len(test.len(), knn.queries);
        Ok(Some(OnlineKnn {
            bank: Subset::readable(part(train, knn.bank), Progress::none())?,
            queries: Subset::readable(part(test, knn.queries), Progress::none())?,
            classes: train.classes().len(),
            k: knn.k,
            temperature: knn.temperature,
            encoder: Encoder::without_weights(&resnet, transform, POOLED, knn.batch_size, device)?,
            ranks,
            compares_pixels: pixel_bytes(config, images).is_some(),
            first: None,
            last: None,
        }))
    }

    /// Features and k-NN accuracy of a backbone (torchvision's names, this project's layout).
    ///
    /// # Errors
    /// A missing weight, or an image that cannot be read.
    fn measure(&mut self, tensor: &mut dyn FnMut(&str) -> Option<Vec<f32>>) -> Result<Quality> {
        self.encoder.load_from(|name| tensor(name).map(Cow::from))?;
        let (bank, queries) = (Arc::clone(&self.bank), Arc::clone(&self.queries));
        let (bank, queries) = (self.features(bank)?, self.features(queries)?);
        let dim = self.encoder.dim();
        let accuracy = self.accuracy(&bank, &queries, dim)?;
        Ok(Quality { accuracy, bank, queries, dim })
    }

    /// Which of so many images or queries a rank takes.
    fn part_of(&self, rank: usize, len: usize) -> Range<usize> {
        let most = len.div_ceil(self.ranks.size());
        (rank * most).min(len)..((rank + 1) * most).min(len)
    }

    /// Features of all images, of which each rank computes a part.
    fn features(&mut self, data: Arc<dyn Dataset>) -> Result<Vec<f32>> {
        let (len, ranks) = (data.len(), Arc::clone(&self.ranks));
        if ranks.size() == 1 {
            return self.encoder.features(&*data, |_| ())?.of_all(&*data);
        }
        let dim = self.encoder.dim();
        let mut all = vec![0.0; len * dim];
        let mine = self.part_of(ranks.rank(), len);
        // Without any image, all say so.
        if !mine.is_empty() || len == 0 {
            let place = mine.start * dim..mine.end * dim;
            let indices = mine.map(|index| index as u32).collect();
            let part = Subset::new(data, indices);
            let features = self.encoder.features(&part, |_| ())?.of_all(&part)?;
            all[place].copy_from_slice(&features);
        }
        for rank in 0..ranks.size() {
            let part = self.part_of(rank, len);
            for told in all[part.start * dim..part.end * dim].chunks_mut(TOLD) {
                ranks.broadcast(rank, bytemuck::cast_slice_mut(told))?;
            }
        }
        Ok(all)
    }

    /// k-NN accuracy of features `[bank, dim]` and `[queries, dim]`, the same for all ranks.
    fn accuracy(&self, bank: &[f32], queries: &[f32], dim: usize) -> Result<f64> {
        let (bank_labels, query_labels) = (labels(&*self.bank), labels(&*self.queries));
        let bank = Labelled { features: bank, labels: &bank_labels };
        let all = query_labels.len();
        let mine = self.part_of(self.ranks.rank(), all);
        let mut right = 0.0;
        if !mine.is_empty() {
            let queries = Labelled {
                features: &queries[mine.start * dim..mine.end * dim],
                labels: &query_labels[mine.clone()],
            };
            let accuracies = knn(bank, queries, dim, self.classes, &[self.k], self.temperature)?;
            right = (accuracies[0].top1 * mine.len() as f64).round();
        }
        let right = self.ranks.gather(right as f32)?;
        Ok(right.into_iter().map(f64::from).sum::<f64>() / all as f64)
    }

    /// Rows for the image of a run: the first query of each class (at most `rows`), with its `most`
    /// nearest training images before training, and after it.
    ///
    /// # Errors
    /// An image that cannot be read.
    fn rows(
        &self,
        before: &Quality,
        after: &Quality,
        rows: usize,
        most: usize,
    ) -> Result<Vec<Row>> {
        let labels = labels(&*self.queries);
        let first_of = |class: u32| labels.iter().position(|&label| label == class);
        let chosen = (0..self.classes as u32).filter_map(first_of).take(rows);
        let near = |quality: &Quality, query: usize| -> Result<Vec<_>> {
            let row = &quality.queries[query * quality.dim..][..quality.dim];
            let nearest = neighbours(&quality.bank, row, quality.dim, most, Progress::none());
            let picture = |&(_, index): &(f32, u32)| {
                let index = index as usize;
                let is_right = self.bank.label(index) == Some(labels[query]);
                Ok(Picture::new(&*self.bank.image(index)?, Frame::right(is_right)))
            };
            nearest[0].iter().map(picture).collect()
        };
        chosen
            .map(|query| {
                let picture = Picture::new(&*self.queries.image(query)?, Frame::Query);
                Ok(Row { groups: vec![vec![picture], near(before, query)?, near(after, query)?] })
            })
            .collect()
    }
}

impl Monitor for OnlineKnn {
    fn knn(&mut self, tensor: &mut dyn FnMut(&str) -> Option<Vec<f32>>) -> Result<f64> {
        // Free the last measurement before the next one.
        self.last = None;
        let quality = self.measure(tensor)?;
        let accuracy = quality.accuracy;
        if self.first.is_none() {
            self.first = Some(quality)
        } else {
            self.last = Some(quality)
        }
        Ok(accuracy)
    }

    fn knn_of_pixels(&mut self) -> Result<Option<f64>> {
        if !self.compares_pixels {
            return Ok(None);
        }
        let transform = self.encoder.transform();
        let bank = pixels(transform, &*self.bank, |_| ())?.of_all(&*self.bank)?;
        let queries = pixels(transform, &*self.queries, |_| ())?.of_all(&*self.queries)?;
        self.accuracy(&bank, &queries, transform.values()).map(Some)
    }

    fn draw(&mut self, folder: &Path) -> Result<()> {
        let (Some(first), Some(last)) = (&self.first, &self.last) else { return Ok(()) };
        let rows = self.rows(first, last, ROWS, NEIGHBOURS)?;
        draw(&folder.join("neighbours.png"), &rows)
    }
}

#[cfg(test)]
mod tests {
    use autograd::threads::Threads;
    use carp::method::MethodConfig;
    use carp::trainer::Trainer;
    use datasets::MemoryDataset;
    use tensor::Cpu;

    use super::*;

    fn small(more: &[(&str, &str)]) -> Config {
        let sets = [
            ("data.train_size", "21"),
            ("data.test_size", "10"),
            ("model.width", "2"),
            ("knn.batch_size", "8"),
            ("knn.k", "3"),
            ("train.batch_size", "8"),
        ];
        let sets = sets.iter().chain(more);
        let sets: Vec<_> = sets.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Config::load("shapes", &sets).unwrap()
    }

    /// The accuracies of an untrained network and of pixels, and the network's features of the bank.
    fn measured_as(ranks: Arc<dyn Transport>) -> (f64, Option<f64>, Vec<f32>) {
        let config = small(&[]);
        let mut trainer = Trainer::new(&config, &Cpu).unwrap();
        let knn = OnlineKnn::among(&config, trainer.splits(), &Cpu, ranks).unwrap();
        let mut knn = knn.unwrap();
        let accuracy = knn.knn(&mut |name| trainer.learner().backbone(name)).unwrap();
        (accuracy, knn.knn_of_pixels().unwrap(), knn.first.unwrap().bank)
    }

    #[test]
    fn ranks_measure_what_one_measures() {
        let want = measured_as(Arc::new(Alone));
        // Of twelve ranks, the last ones have no queries.
        for number in [2, 5, 12] {
            let all = Threads::run(number, |rank| measured_as(Arc::new(rank)));
            assert!(all.iter().all(|got| *got == want), "{number} ranks");
        }
    }

    /// 31 images of so many pixels are a little less than 8 GiB, and a little more.
    #[test]
    fn raw_pixels_are_left_out_where_they_are_too_large() {
        for (side, compares) in [(4805, true), (4807, false)] {
            assert_eq!(31 * side * side * 3 * 4 <= PIXELS, compares);
            let side = side.to_string();
            let config = small(&[("knn.resize", &side), ("knn.size", &side)]);
            let data = config.data.size_unopened().unwrap().unwrap();
            let planned = KnnMemory::planned(&config, &data, &Cpu).unwrap();
            assert_eq!(planned.pixels > 0, compares);
        }
    }

    /// Features at the end and the network: with the step of preset imagenet (8.6 GiB) and its images and
    /// batches (1.4 GiB) that is less than 16 GiB.
    #[test]
    fn what_the_presets_for_imagenet_measure_fits() {
        let (train, test) = (1_281_167, 50_000);
        let data = DataSize { pretrain: train, train, test, memory: 0 };
        let names = MethodConfig::all().map(|method| match method {
            MethodConfig::Carp => "imagenet".to_owned(),
            method => format!("imagenet-{}", method.name()),
        });
        for name in names {
            let config = Config::load(&name, &[]).unwrap();
            let KnnMemory { network, features, pixels } =
                KnnMemory::planned(&config, &data, &Cpu).unwrap();
            assert_eq!((features, pixels), (110_000 * 2048 * 4, 0), "{name}");
            assert!(network + 2 * features < 5 << 30, "{name}: {network}");
        }
    }

    #[test]
    fn a_part_of_the_data_has_all_classes() {
        // Ten images each of three classes, class by class as in folders, and in turns.
        for class in [|i| i / 10, |i| i % 3] {
            let data: Arc<dyn Dataset> = Arc::new(MemoryDataset::new(
                "test".to_owned(),
                (1, 1, 1),
                &Vec::from_iter(0..30),
                (0..30).map(class).collect(),
                ["a", "b", "c"].map(str::to_owned).to_vec(),
            ));
            let some = part(&data, 6);
            assert_eq!(some.len(), 6);
            let labels = labels(&*some);
            for (index, label) in labels.iter().enumerate() {
                let place = some.image(index).unwrap().pixels[0];
                assert_eq!(*label, class(u32::from(place)));
            }
            assert!((0..3).all(|class| labels.contains(&class)), "{labels:?}");
            for all in [0, 30, 31] {
                assert_eq!(part(&data, all).len(), 30);
            }
        }
    }
}
