//! PCL v2 (Li et al., 2021): momentum contrast of images, and of images with cluster centres.
//!
//! ```text
//! before an epoch: k-means of all images by the key network, once per number of clusters
//!                  -> labels, centroids c, densities phi
//! key <- m key + (1 - m) query;  q = l2(query(view 1)),  k = l2(key(view 2))
//! L = CE(0, [<q,k>, queue] / T) + mean over clusterings of mean_i CE(i, <q_i, c> / phi_c)
//! then k joins the queue
//! ```
//!
//! The columns c are the clusters of the batch's images, one each, and some that are no image's. The
//! second term begins after some epochs.

use std::borrow::Cow;

use autograd::{Error, Executor, Graph, Result, Value};
use methods::PclV2;
use methods::pcl_v2::{Prototypes, densities, prototype_loss};
use methods::unit::unit;
use serde::{Deserialize, Serialize};
use tensor::random::{Purpose, Stream};

use super::definition::{Built, Method, Range};
use super::encoder::Encoder;
use super::hooks::{EpochStart, Hooks, Moment, Seen};
use super::queues::{push_afterwards, queue_of};
use crate::kmeans::{KmeansOptions, Start, kmeans, nearest_centroids, scale_to_length_1};
use crate::nn::{Init, MlpConfig};
use crate::step_builder::StepBuilder;

/// The settings, by default the authors'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PclV2Config {
    /// Of the loss.
    #[serde(flatten)]
    pub loss: PclV2,
    /// Keys in the queue.
    pub queue: usize,
    /// Clusters of each clustering.
    pub clusters: Vec<usize>,
    /// Prototypes of no image in the batch that the loss compares with.
    pub negatives: usize,
    /// The first epoch, from 0, that begins with a clustering.
    pub from_epoch: usize,
    /// Iterations of k-means.
    pub iterations: usize,
    /// Starts of k-means, of which the best counts.
    pub starts: usize,
    /// k-means moves its centroids by at most this many points per cluster, drawn at random from all.
    pub points_per_cluster: usize,
}

impl Default for PclV2Config {
    fn default() -> PclV2Config {
        PclV2Config {
            loss: PclV2::default(),
            queue: 16384,
            clusters: vec![25_000, 50_000, 100_000],
            negatives: 16384,
            from_epoch: 20,
            iterations: 20,
            starts: 5,
            points_per_cluster: 1000,
        }
    }
}

impl Method for PclV2Config {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("temperature", Range::Positive),
            ("queue", Range::AtLeast(0)),
            ("negatives", Range::AtLeast(0)),
            ("from_epoch", Range::AtLeast(0)),
            ("iterations", Range::AtLeast(1)),
            ("starts", Range::AtLeast(1)),
            ("points_per_cluster", Range::AtLeast(1)),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let sizes = step.sizes.clone();
        let (dim, images) = (sizes.head.bottleneck, sizes.images);
        for &clusters in &self.clusters {
            if clusters > images || clusters < sizes.shard_batch + self.negatives {
                let detail = format!(
                    "{clusters}, should be at most the {images} images, and at \
                     least train.batch_size + method.negatives = {}",
                    sizes.shard_batch + self.negatives
                );
                return Err(Error::setting("method.clusters", detail));
            }
        }
        let layers = MlpConfig { batch_norm: false, ..MlpConfig::relu(&[sizes.head.hidden, dim]) };
        let [view1, view2] = step.two_views()?;
        let query = step.student(&layers, None);
        let key = step.teacher(&layers, None);
        let queue = queue_of(step, "queue", self.queue)?;
        let is_clustered = step.graph.input("is_clustered", [1]);
        let mut clusterings = Vec::new();
        for (place, &count) in self.clusters.iter().enumerate() {
            let name = |kind: &str| format!("{kind}.{place}");
            let columns = sizes.shard_batch + self.negatives;
            clusterings.push(Clustering {
                centroids: step.state(&name("centroids"), &[count, dim], Init::UnitRows(dim)),
                densities: step.state(&name("densities"), &[count, 1], Init::Constant(1.0)),
                labels: step.state(&name("labels"), &[images], Init::Constant(0.0)),
                columns: step.graph.input_u32(&name("columns"), [columns]),
                count,
            });
        }

        step.move_teacher()?;
        let g = &mut step.graph;
        let q = query.embed(g, &[view1])?;
        let k = key.embed(g, &[view2])?;
        let loss = g.scope("loss", |g| -> Result<Value> {
            let instances = self.loss.instance_loss(g, [q, k], queue)?;
            if clusterings.is_empty() {
                return Ok(instances);
            }
            let mut losses = Vec::new();
            for clustering in &clusterings {
                let prototypes = clustering.prototypes(g)?;
                losses.push(prototype_loss(g, q, prototypes)?);
            }
            let losses = g.concat_rows(&losses)?;
            let prototypes = g.mean(losses);
            let prototypes = g.mul(is_clustered, prototypes)?;
            g.add(instances, prototypes)
        })?;
        let k = unit(&mut step.graph, k);
        push_afterwards(step, queue, k);
        let tensors = step.teacher.all().iter().map(|param| param.value).collect();
        let encoder = Encoder { resnet: sizes.resnet, layers, tensors };
        let settings = self.clone();
        let hooks = PclHooks { settings, clusterings, is_clustered, encoder, images, dim };
        Ok(Built { hooks: Box::new(hooks), ..Built::of(loss) })
    }
}

/// One clustering's state, and the columns of its loss.
struct Clustering {
    centroids: Value,
    densities: Value,
    labels: Value,
    /// Input: first the batch's clusters, then others, `[B+r]`.
    columns: Value,
    count: usize,
}

impl Clustering {
    fn prototypes(&self, g: &mut Graph) -> Result<Prototypes> {
        let columns = g.gather_rows(self.centroids, self.columns)?;
        let densities = g.gather_rows(self.densities, self.columns)?;
        let densities = g.reshape(densities, [g.shape(columns).rows()])?;
        Ok(Prototypes { columns, densities })
    }

    /// The clusters of the batch's images, and `negatives` others.
    fn draw(&self, positives: &[u32], negatives: usize, stream: &mut Stream) -> Vec<u32> {
        let mut is_positive = vec![false; self.count];
        positives.iter().for_each(|&cluster| is_positive[cluster as usize] = true);
        let is_other = |cluster: &u32| !is_positive[*cluster as usize];
        let mut others: Vec<u32> = (0..self.count as u32).filter(is_other).collect();
        stream.shuffle(&mut others);
        others.truncate(negatives);
        [positives, &others].concat()
    }
}

/// What draws the points of a clustering: others in every epoch, where faiss with its fixed seed draws
/// the same images.
fn points_stream(at: Moment, place: usize, clusterings: usize) -> Stream {
    // Those of the steps draw columns.
    let number = (clusterings + place) as u64;
    Stream::new(at.seed, Purpose::Sample, at.step as u64, number)
}

/// At most this many rows of `points`, without repetition.
fn some_rows<'a>(
    points: &'a [f32],
    dim: usize,
    most: usize,
    stream: &mut Stream,
) -> Cow<'a, [f32]> {
    let all = points.len() / dim;
    if all <= most {
        return Cow::Borrowed(points);
    }
    let mut rows: Vec<u32> = (0..all as u32).collect();
    stream.shuffle(&mut rows);
    rows.truncate(most);
    let row = |&row: &u32| &points[row as usize * dim..][..dim];
    Cow::Owned(rows.iter().flat_map(row).copied().collect())
}

struct PclHooks {
    settings: PclV2Config,
    clusterings: Vec<Clustering>,
    is_clustered: Value,
    encoder: Encoder,
    images: usize,
    dim: usize,
}

impl Hooks for PclHooks {
    fn start_epoch(&self, mut run: EpochStart) -> crate::Result<()> {
        if run.at.epoch() < self.settings.from_epoch || self.clusterings.is_empty() {
            return Ok(());
        }
        let mut points = self.encoder.embeddings(&mut run)?;
        points.chunks_exact_mut(self.dim).for_each(scale_to_length_1);
        for (place, clustering) in self.clusterings.iter().enumerate() {
            let options = KmeansOptions {
                clusters: clustering.count,
                spherical: false,
                start: Start::Random,
                starts: self.settings.starts,
                iterations: self.settings.iterations,
                seed: place as u64,
            };
            let most = clustering.count * self.settings.points_per_cluster;
            let mut stream = points_stream(run.at, place, self.clusterings.len());
            let drawn = some_rows(&points, self.dim, most, &mut stream);
            let mut centroids = kmeans(&drawn, self.dim, &options, run.progress)?.centroids;
            let labels = nearest_centroids(&points, self.dim, &centroids, false);
            let temperature = self.settings.loss.temperature;
            let phi = densities(&points, self.dim, &labels, &centroids, temperature);
            centroids.chunks_exact_mut(self.dim).for_each(scale_to_length_1);
            let labels: Vec<f32> = labels.into_iter().map(|label| label as f32).collect();
            run.executor.write(clustering.centroids, &centroids);
            run.executor.write(clustering.densities, &phi);
            run.executor.write(clustering.labels, &labels);
        }
        Ok(())
    }

    fn host_bytes(&self) -> usize {
        // The embeddings, those drawn of them, labels twice, and centroids: moved, best and kept.
        let of_clustering = |clustering: &Clustering| {
            let most = clustering.count * self.settings.points_per_cluster;
            let drawn = if self.images > most { most } else { 0 };
            (drawn + 3 * clustering.count) * self.dim + 2 * self.images
        };
        let largest = self.clusterings.iter().map(of_clustering).max();
        largest.map_or(0, |largest| size_of::<f32>() * (self.images * self.dim + largest))
    }

    fn network_bytes(&self, side: usize, device: &dyn tensor::Device) -> crate::Result<usize> {
        if self.clusterings.is_empty() { Ok(0) } else { self.encoder.planned(side, device) }
    }

    fn seen(&self) -> Vec<(usize, Seen)> {
        if self.clusterings.is_empty() {
            return Vec::new();
        }
        vec![(self.settings.from_epoch, Seen::Images)]
    }

    fn before_forward(&mut self, at: Moment, images: &[u32], executor: &mut Executor) {
        let is_clustered = at.epoch() >= self.settings.from_epoch;
        executor.write(self.is_clustered, &[if is_clustered { 1.0 } else { 0.0 }]);
        for (place, clustering) in self.clusterings.iter().enumerate() {
            let mut label = |&image: &u32| {
                let mut label = [0.0];
                executor.read_part(clustering.labels, image as usize, &mut label);
                label[0] as u32
            };
            let positives: Vec<u32> = images.iter().map(&mut label).collect();
            let mut stream = Stream::new(at.seed, Purpose::Sample, at.step as u64, place as u64);
            let columns = clustering.draw(&positives, self.settings.negatives, &mut stream);
            executor.write_u32(clustering.columns, &columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that the clustering `place` of two draws of 40, in the epoch that begins with `step`.
    fn drawn(most: usize, step: usize, place: usize) -> Vec<usize> {
        let points: Vec<f32> = (0..80).map(|number| number as f32).collect();
        let at = Moment { seed: 3, step, steps_per_epoch: 5 };
        let rows = some_rows(&points, 2, most, &mut points_stream(at, place, 2)).into_owned();
        rows.chunks_exact(2)
            .map(|row| {
                assert_eq!(row[1], row[0] + 1.0, "half a row");
                row[0] as usize / 2
            })
            .collect()
    }

    #[test]
    fn points_above_the_cap_are_drawn_once_each() {
        let mut times = [0; 40];
        for epoch in 0..200 {
            let mut rows = drawn(10, 5 * epoch, 0);
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), 10, "{rows:?}");
            rows.iter().for_each(|&row| times[row] += 1);
        }
        // 50 times each; five standard deviations of a binomial are 31.
        assert!(times.iter().all(|count| (19..=81).contains(count)), "{times:?}");
    }

    #[test]
    fn a_draw_repeats_but_epochs_and_clusterings_have_their_own() {
        let first = drawn(10, 5, 0);
        assert_eq!(drawn(10, 5, 0), first);
        assert_ne!(drawn(10, 10, 0), first);
        assert_ne!(drawn(10, 5, 1), first);
    }

    #[test]
    fn up_to_the_cap_all_points_stay_in_order() {
        let points = [1.0, 2.0, 3.0, 4.0];
        for most in [2, 3] {
            let stream = &mut Stream::new(0, Purpose::Test, 0, 0);
            assert!(
                matches!(some_rows(&points, 2, most, stream), Cow::Borrowed(all) if all == points)
            );
            // Nothing was taken from the stream either.
            assert_eq!(stream.next_u32(), Stream::new(0, Purpose::Test, 0, 0).next_u32());
        }
        assert_eq!(drawn(39, 5, 0).len(), 39);
    }
}
