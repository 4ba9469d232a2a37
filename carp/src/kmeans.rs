//! k-means by Lloyd's algorithm, with restarts.
//!
//! ```text
//! Euclidean: y[n] = argmin_c |x_n - m_c|^2 = argmax_c <x_n, m_c> - |m_c|^2 / 2;  m_c = mean of its x
//! spherical: y[n] = argmax_c <x_n, m_c>;  m_c = mean of its x, scaled to length 1
//! ```
//!
//! Points `[N,D]` are used as given: the spherical variant, like faiss's, scales only centroids. A
//! cluster that loses all its points takes half of another, as in faiss.

mod options;
mod start;

use datasets::Progress;
use isa::{Isa, multiversion};
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};
use tensor::cpu::reduce::dot;
use tensor::random::{Purpose, Stream};

pub use self::options::{KmeansOptions, Start};
pub use self::start::scale_to_length_1;
use self::start::{centroids_at, first_centroids};
use crate::error::{Error, Result};

/// Points per task when multiplying with the centroids.
const ROWS: usize = 256;
/// Points per task when summing.
const SEGMENT: usize = 256;
/// Relative difference between the halves of a split cluster.
const SPLIT: f32 = 1.0 / 1024.0;

/// A clustering.
#[derive(Clone, Debug)]
pub struct Kmeans {
    /// `[K,D]`.
    pub centroids: Vec<f32>,
    /// The cluster of each point.
    pub labels: Vec<u32>,
    /// Euclidean: the inertia, the sum of squared distances to the centroids. Spherical: minus the
    /// sum of inner products. Lower is better.
    pub objective: f64,
    /// Iterations of the best start.
    pub iterations: usize,
}

/// The best clustering of several starts; the same bits on any number of threads. Reports the
/// iterations done of all starts; a converged start has done all of its own.
///
/// # Errors
/// Fewer points than clusters, or a setting of 0.
pub fn kmeans(
    points: &[f32],
    dim: usize,
    options: &KmeansOptions,
    progress: Progress,
) -> Result<Kmeans> {
    let (n, k) = (points.len() / dim.max(1), options.clusters);
    if k == 0 || options.starts == 0 || options.iterations == 0 {
        let wrong = "k-means: clusters, starts and iterations should be at least 1";
        return Err(Error::usage(wrong.to_owned()));
    }
    if n < k {
        return Err(Error::usage(format!("k-means: {n} points cannot form {k} clusters")));
    }
    let mut lloyd = Lloyd::new(points, dim, options);
    let mut best: Option<Kmeans> = None;
    let all = options.starts * options.iterations;
    for start in 0..options.starts {
        let first = start * options.iterations;
        let mut stream = Stream::new(options.seed, Purpose::Evaluation, start as u64, 0);
        let iterations = lloyd.run(&mut stream, &|done| progress.report(first + done, all));
        progress.report(first + options.iterations, all);
        let objective = lloyd.objective();
        if best.as_ref().is_none_or(|best| objective < best.objective) {
            let (centroids, labels) = (lloyd.centroids.clone(), lloyd.labels.clone());
            best = Some(Kmeans { centroids, labels, objective, iterations });
        }
    }
    Ok(best.expect("at least one start"))
}

/// Spherical k-means from the points `start`, as DeepCluster v2 does it: a cluster that loses all
/// its points keeps its centroid.
///
/// # Panics
/// If a start is not the index of a point.
pub fn spherical_kmeans_from(
    points: &[f32],
    dim: usize,
    start: &[u32],
    iterations: usize,
) -> Kmeans {
    let (clusters, spherical) = (start.len(), true);
    let options =
        KmeansOptions { clusters, spherical, start: Start::Random, starts: 1, iterations, seed: 0 };
    let mut lloyd = Lloyd::new(points, dim, &options);
    lloyd.centroids = centroids_at(points, dim, spherical, start);
    let iterations = lloyd.iterate(None, &|_| ());
    let objective = lloyd.objective();
    Kmeans { centroids: lloyd.centroids, labels: lloyd.labels, objective, iterations }
}

/// The nearest centroid of each point.
pub fn nearest_centroids(
    points: &[f32],
    dim: usize,
    centroids: &[f32],
    spherical: bool,
) -> Vec<u32> {
    let mut labels = vec![0; points.len() / dim];
    assign(points, dim, centroids, spherical, &mut labels);
    labels
}

/// Sets the label of each point; returns whether any changed. Ties go to the first centroid.
#[multiversion(Isa::preferred())]
fn assign(
    points: &[f32],
    dim: usize,
    centroids: &[f32],
    spherical: bool,
    labels: &mut [u32],
) -> bool {
    let half = |centroid| if spherical { 0.0 } else { 0.5 * dot(centroid, centroid) };
    let halves: Vec<f32> = centroids.chunks_exact(dim).map(half).collect();
    let (isa, k) = (Isa::preferred(), halves.len());
    let (by_row, by_column) = (Strides::new(dim, false), Strides::new(dim, true));
    let nearest = |scratch: &mut Vec<f32>, (labels, points): (&mut [u32], &[f32])| {
        let n = labels.len();
        scratch.resize(k * n, 0.0);
        // [K,n] rather than [n,K], so that the search below is vectorised over points.
        sgemm(isa, (k, dim, n), (centroids, by_row), (points, by_column), false, scratch);
        let (mut best, mut arg) = ([f32::NEG_INFINITY; ROWS], [0u32; ROWS]);
        for ((c, products), half) in (0..).zip(scratch.chunks_exact(n)).zip(&halves) {
            for ((best, arg), product) in best.iter_mut().zip(&mut arg).zip(products) {
                let score = product - half;
                let is_nearer = score > *best;
                *best = if is_nearer { score } else { *best };
                *arg = if is_nearer { c } else { *arg };
            }
        }
        let changed = *labels != arg[..n];
        labels.copy_from_slice(&arg[..n]);
        changed
    };
    labels
        .par_chunks_mut(ROWS)
        .zip(points.par_chunks(ROWS * dim))
        .map_init(Vec::new, nearest)
        .reduce(|| false, |a, b| a | b)
}

/// Points, centroids and working memory.
struct Lloyd<'a> {
    points: &'a [f32],
    dim: usize,
    options: &'a KmeansOptions,
    centroids: Vec<f32>,
    labels: Vec<u32>,
    /// Point indices, cluster by cluster.
    order: Vec<u32>,
    /// Sums of segments of the order, `[segments,D]`.
    sums: Vec<f32>,
}

impl<'a> Lloyd<'a> {
    fn new(points: &'a [f32], dim: usize, options: &'a KmeansOptions) -> Lloyd<'a> {
        let n = points.len() / dim;
        Lloyd {
            points,
            dim,
            options,
            centroids: Vec::new(),
            labels: vec![0; n],
            order: vec![0; n],
            sums: Vec::new(),
        }
    }

    /// One start: iterates until nothing changes or the limit; returns the iterations, after telling
    /// `report` each.
    fn run(&mut self, stream: &mut Stream, report: &dyn Fn(usize)) -> usize {
        self.centroids = first_centroids(self.points, self.dim, self.options, stream);
        self.iterate(Some(stream), report)
    }

    /// The iterations from given centroids. Empty clusters take half of another, drawn from the
    /// stream, or keep their centroids if there is none.
    fn iterate(&mut self, mut stream: Option<&mut Stream>, report: &dyn Fn(usize)) -> usize {
        let KmeansOptions { clusters, spherical, iterations, .. } = *self.options;
        // An invalid label, so that the first assignment is a change.
        self.labels.fill(clusters as u32);
        let mut done = 0;
        while done < iterations {
            let changed =
                assign(self.points, self.dim, &self.centroids, spherical, &mut self.labels);
            if !changed {
                return done;
            }
            let mut counts = self.update();
            // The split may be undone: the next assignment must count as a change.
            if stream.as_mut().is_some_and(|stream| self.split_empty(&mut counts, stream)) {
                self.labels.fill(clusters as u32);
            }
            if spherical {
                self.centroids.chunks_exact_mut(self.dim).for_each(scale_to_length_1);
            }
            done += 1;
            report(done);
        }
        assign(self.points, self.dim, &self.centroids, spherical, &mut self.labels);
        done
    }

    /// Moves centroids to the means of their points and counts these. A cluster's points are summed
    /// in segments, which are added in order in double precision.
    #[multiversion(Isa::preferred())]
    fn update(&mut self) -> Vec<usize> {
        let (k, dim, points) = (self.options.clusters, self.dim, self.points);
        let mut counts = vec![0; k];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        let mut place = 0;
        let mut next: Vec<usize> = counts
            .iter()
            .map(|count| {
                place += count;
                place - count
            })
            .collect();
        let firsts = next.clone();
        for (point, &label) in (0..).zip(&self.labels) {
            self.order[next[label as usize]] = point;
            next[label as usize] += 1;
        }
        let segments: Vec<&[u32]> = firsts
            .iter()
            .zip(&counts)
            .flat_map(|(&first, &count)| self.order[first..first + count].chunks(SEGMENT))
            .collect();
        self.sums.resize(segments.len() * dim, 0.0);
        self.sums.par_chunks_mut(dim).zip(&segments).for_each(|(sum, segment)| {
            sum.fill(0.0);
            for &point in *segment {
                let point = &points[point as usize * dim..][..dim];
                sum.iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
            }
        });
        let mut sums = self.sums.chunks_exact(dim);
        let mut mean = vec![0.0f64; dim];
        for (centroid, &count) in self.centroids.chunks_exact_mut(dim).zip(&counts) {
            mean.fill(0.0);
            for sum in sums.by_ref().take(count.div_ceil(SEGMENT)) {
                mean.iter_mut().zip(sum).for_each(|(mean, &sum)| *mean += f64::from(sum));
            }
            if count > 0 {
                let mean = mean.iter().map(|mean| (mean / count as f64) as f32);
                centroid.iter_mut().zip(mean).for_each(|(centroid, mean)| *centroid = mean);
            }
        }
        counts
    }

    /// Each empty cluster takes half of another, drawn by size; returns whether there was any.
    fn split_empty(&mut self, counts: &mut [usize], stream: &mut Stream) -> bool {
        let (n, k, dim) = (self.labels.len(), self.options.clusters, self.dim);
        let empty: Vec<usize> = (0..k).filter(|&c| counts[c] == 0).collect();
        for &taker in &empty {
            let mut giver = 0;
            while stream.uniform() >= (counts[giver] as f32 - 1.0) / (n - k) as f32
                || counts[giver] < 2
            {
                giver = (giver + 1) % k;
            }
            for d in 0..dim {
                let x = self.centroids[giver * dim + d];
                let step = if d % 2 == 0 { SPLIT } else { -SPLIT };
                self.centroids[taker * dim + d] = x * (1.0 + step);
                self.centroids[giver * dim + d] = x * (1.0 - step);
            }
            counts[taker] = counts[giver] / 2;
            counts[giver] -= counts[taker];
        }
        !empty.is_empty()
    }

    /// See [`Kmeans::objective`].
    #[multiversion(Isa::preferred())]
    fn objective(&self) -> f64 {
        let (dim, spherical) = (self.dim, self.options.spherical);
        let part = |(labels, points): (&[u32], &[f32])| -> f64 {
            let point = |(&label, x): (&u32, &[f32])| -> f64 {
                let m = &self.centroids[label as usize * dim..][..dim];
                if spherical {
                    return -f64::from(dot(x, m));
                }
                // In single precision by lanes, in double across points.
                let mut lanes = [0.0f32; 16];
                for (x, m) in x.chunks(16).zip(m.chunks(16)) {
                    for ((lane, x), m) in lanes.iter_mut().zip(x).zip(m) {
                        *lane += (x - m) * (x - m);
                    }
                }
                lanes.iter().map(|&lane| f64::from(lane)).sum()
            };
            labels.iter().zip(points.chunks_exact(dim)).map(point).sum()
        };
        let points = self.points.par_chunks(ROWS * dim);
        let parts: Vec<f64> = self.labels.par_chunks(ROWS).zip(points).map(part).collect();
        parts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(clusters: usize, spherical: bool, start: Start) -> KmeansOptions {
        KmeansOptions { clusters, spherical, start, starts: 5, iterations: 100, seed: 0 }
    }

    /// Points around `clusters` distant centres.
    fn clouds(n: usize, dim: usize, clusters: usize) -> Vec<f32> {
        let mut stream = Stream::new(1, Purpose::Test, 0, 0);
        let centres: Vec<f32> = (0..clusters * dim).map(|_| 10.0 * stream.normal()).collect();
        let point = |i: usize| centres[i % clusters * dim..][..dim].to_vec();
        (0..n).flat_map(point).map(|x| x + stream.normal()).collect()
    }

    #[test]
    fn clouds_are_found() {
        let points = clouds(700, 5, 7);
        for spherical in [false, true] {
            for start in [Start::Random, Start::PlusPlus] {
                let found =
                    kmeans(&points, 5, &options(7, spherical, start), Progress::none()).unwrap();
                let alike = |i: usize| found.labels[i] == found.labels[i % 7];
                let share = (0..700).filter(|&i| alike(i)).count();
                assert!(share == 700 || spherical && share > 600, "{share} {spherical} {start:?}");
                let again = nearest_centroids(&points, 5, &found.centroids, spherical);
                assert_eq!(found.labels, again);
                assert!(found.iterations < 100);
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let points = clouds(3000, 33, 20);
        let with = |threads: usize, start| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let options = KmeansOptions { starts: 2, ..options(30, false, start) };
            let found = pool.install(|| kmeans(&points, 33, &options, Progress::none())).unwrap();
            (found.centroids, found.labels, found.objective)
        };
        for start in [Start::Random, Start::PlusPlus] {
            assert_eq!(with(1, start), with(3, start));
        }
    }

    #[test]
    fn progress_rises_by_starts_and_iterations() {
        let points = clouds(700, 5, 7);
        let seen = std::sync::Mutex::new(Vec::new());
        let show = |done, all| seen.lock().unwrap().push((done, all));
        let options = KmeansOptions { iterations: 3, ..options(7, false, Start::Random) };
        let watched = kmeans(&points, 5, &options, Progress::new(&show)).unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted() && seen.iter().all(|&(_, all)| all == 15), "{seen:?}");
        for end in [3, 6, 9, 12, 15] {
            assert!(seen.contains(&(end, 15)), "{seen:?}");
        }
        assert_eq!(watched.labels, kmeans(&points, 5, &options, Progress::none()).unwrap().labels);
    }

    #[test]
    fn an_empty_cluster_takes_half_of_another() {
        // Two locations, of which the random start takes one twice.
        let points: Vec<f32> = (0..20).map(|i| if i < 19 { 1.0 } else { 5.0 }).collect();
        let found =
            kmeans(&points, 1, &options(2, false, Start::Random), Progress::none()).unwrap();
        assert_eq!(found.objective, 0.0);
        // As many clusters as points, all equal: it terminates.
        let equal =
            kmeans(&[2.0; 6], 2, &options(3, false, Start::PlusPlus), Progress::none()).unwrap();
        assert!(equal.objective < 1e-4);
    }

    #[test]
    fn bad_settings_are_one_line() {
        let line = |points: &[f32], options| {
            kmeans(points, 1, &options, Progress::none()).unwrap_err().to_string()
        };
        let good = options(2, false, Start::Random);
        assert_eq!(line(&[1.0], good.clone()), "k-means: 1 points cannot form 2 clusters");
        for bad in [
            KmeansOptions { clusters: 0, ..good.clone() },
            KmeansOptions { starts: 0, ..good.clone() },
            KmeansOptions { iterations: 0, ..good },
        ] {
            assert!(line(&[1.0, 2.0], bad).ends_with("should be at least 1"));
        }
    }
}
