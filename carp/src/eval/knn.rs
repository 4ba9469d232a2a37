//! Weighted k-nearest-neighbour classification (Wu et al., 2018), as self-supervised methods report.
//!
//! Features are scaled to length 1; the k training features most similar to a query (cosine s) vote
//! for their class with weight `exp(s / T)`.

use rayon::prelude::*;
use tensor::cpu::gemm::{gemm, workspace};
use tensor::cpu::normalize::l2_normalize;
use tensor::geometry::Gemm;
use tensor::math::exp;

use crate::error::{Error, Result};

/// Queries that one task compares at once.
const QUERIES: usize = 64;
/// Training features that they are compared with at once.
const BANK: usize = 1024;

/// Accuracy with k neighbours, as fractions of the queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnnAccuracy {
    /// Neighbours that voted.
    pub k: usize,
    /// The class with most votes was right.
    pub top1: f64,
    /// One of the five classes with most votes was right.
    pub top5: f64,
}

/// A labelled set of features `[labels.len(), dim]`.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    /// Row-major.
    pub features: &'a [f32],
    /// One per row.
    pub labels: &'a [u32],
}

/// A training feature near a query: similarity and index.
type Neighbour = (f32, u32);

/// Accuracy for each of `ks`, in one pass over the bank; all of it is never compared at once.
/// Where the bank is smaller than k, all of it votes. Ties go to the earlier training feature and
/// to the lower class.
///
/// # Errors
/// No features, sizes that do not fit, a label that is no class, a feature that is not finite, or a
/// k of 0.
pub fn knn(
    bank: Labelled,
    queries: Labelled,
    dim: usize,
    classes: usize,
    ks: &[usize],
    temperature: f32,
) -> Result<Vec<KnnAccuracy>> {
    for (name, set) in [("bank", bank), ("queries", queries)] {
        check(set, dim, classes).map_err(|what| Error::Usage(format!("k-NN {name}: {what}")))?;
    }
    if ks.contains(&0) {
        return Err(Error::Usage("k-NN with k = 0: choose at least 1".to_owned()));
    }
    let most = ks.iter().copied().max().unwrap_or(1);
    let neighbours = neighbours(bank.features, queries.features, dim, most);
    let accuracy = |&k: &usize| {
        let ranks = neighbours.par_iter().zip(queries.labels).map(|(neighbours, &label)| {
            let mut votes = vec![0.0; classes];
            // Only the ratios of votes matter: with the nearest at weight 1 none overflows.
            let (nearest, _) = neighbours[0];
            for &(similarity, index) in neighbours.iter().take(k) {
                let weight = exp((similarity - nearest) / temperature);
                votes[bank.labels[index as usize] as usize] += weight;
            }
            // The rank of the right class: how many classes come before it.
            let own = votes[label as usize];
            let before = |(class, &vote): (usize, &f32)| {
                vote > own || (vote == own && class < label as usize)
            };
            votes.iter().enumerate().filter(|&vote| before(vote)).count()
        });
        let ranks: Vec<usize> = ranks.collect();
        let within = |most: usize| ranks.iter().filter(|&&rank| rank < most).count();
        let share = |most: usize| within(most) as f64 / ranks.len() as f64;
        KnnAccuracy { k, top1: share(1), top5: share(5) }
    };
    Ok(ks.iter().map(accuracy).collect())
}

/// What is wrong with a set, if anything.
fn check(set: Labelled, dim: usize, classes: usize) -> std::result::Result<(), String> {
    let (numbers, rows) = (set.features.len(), set.labels.len());
    if rows == 0 || dim == 0 || numbers != rows * dim {
        return Err(format!("{numbers} numbers are not {rows} features of {dim}"));
    }
    if let Some(row) = set.labels.iter().position(|&label| label as usize >= classes) {
        let label = set.labels[row];
        return Err(format!("label {label} of image {row} is none of the {classes} classes"));
    }
    // Nothing is larger than NaN: a broken network would seem to be always right.
    if let Some(at) = set.features.iter().position(|feature| !feature.is_finite()) {
        let (row, feature) = (at / dim, set.features[at]);
        return Err(format!("a feature of image {row} is {feature}: the network is broken"));
    }
    Ok(())
}

/// For each query its `most` nearest training features by cosine, the nearest first.
pub fn neighbours(bank: &[f32], queries: &[f32], dim: usize, most: usize) -> Vec<Vec<Neighbour>> {
    let (bank, queries) = (unit_length(bank, dim), unit_length(queries, dim));
    queries
        .par_chunks(QUERIES * dim)
        .flat_map_iter(|queries| {
            let count = queries.len() / dim;
            let mut nearest: Vec<Vec<Neighbour>> = vec![Vec::with_capacity(most + 1); count];
            let mut similarities = vec![0.0; count * BANK];
            let mut scratch = Vec::new();
            for (block, bank) in bank.chunks(BANK * dim).enumerate() {
                let n = bank.len() / dim;
                let product = Gemm { m: count, n, k: dim, trans_a: false, trans_b: true };
                scratch.resize(workspace(product), 0.0);
                gemm(product, queries, bank, &mut similarities[..count * n], &mut scratch);
                let first = (block * BANK) as u32;
                for (row, nearest) in similarities.chunks_exact(n).zip(&mut nearest) {
                    for (index, &similarity) in (first..).zip(row) {
                        insert(nearest, (similarity, index), most);
                    }
                }
            }
            nearest
        })
        .collect()
}

/// Keeps the `most` nearest in order; candidates come by rising index, so equals stay behind.
fn insert(nearest: &mut Vec<Neighbour>, candidate: Neighbour, most: usize) {
    if nearest.len() == most && nearest[most - 1].0 >= candidate.0 {
        return;
    }
    let place = nearest.partition_point(|neighbour| neighbour.0 >= candidate.0);
    nearest.insert(place, candidate);
    nearest.truncate(most);
}

/// Rows of length 1; rows of zeros stay so.
fn unit_length(features: &[f32], dim: usize) -> Vec<f32> {
    let mut unit = vec![0.0; features.len()];
    let mut norm = vec![0.0; features.len() / dim];
    l2_normalize(dim, 1e-12, features, &mut unit, &mut norm);
    unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::random::{Purpose, Stream};

    #[test]
    fn a_case_by_hand() {
        // Two training features of class 0 at 0 and 90 degrees, one of class 1 at 45 degrees.
        let bank = [1.0, 0.0, 0.0, 2.0, 3.0, 3.0];
        let bank = Labelled { features: &bank, labels: &[0, 0, 1] };
        // At 40 degrees: similarities 0.766, 0.643, 0.996.
        let query = [0.766_044, 0.642_788];
        let queries = Labelled { features: &query, labels: &[1] };
        // With T = 1 class 0 has e^0.766 + e^0.643 = 4.05, class 1 e^0.996 = 2.71; with one
        // neighbour, or with T = 0.1 (e^7.66 + e^6.43 = 2742 against e^9.96 = 21163), class 1 wins.
        let top1 = |k, t| knn(bank, queries, 2, 2, &[k], t).unwrap()[0].top1;
        assert_eq!((top1(3, 1.0), top1(1, 1.0), top1(3, 0.1)), (0.0, 1.0, 1.0));
        // All of a bank smaller than k votes.
        assert_eq!(top1(20, 1.0), 0.0);
    }

    #[test]
    fn blocks_change_nothing() {
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let (dim, classes) = (7, 6);
        let mut normals = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal()).collect() };
        let (bank, queries) = (normals(2500 * dim), normals(150 * dim));
        let label = |n: u32| (0..n).map(|i| i * 7 % 6).collect::<Vec<u32>>();
        let (bank_labels, query_labels) = (label(2500), label(150));
        let got = knn(
            Labelled { features: &bank, labels: &bank_labels },
            Labelled { features: &queries, labels: &query_labels },
            dim,
            classes,
            &[1, 10, 200],
            0.07,
        )
        .unwrap();
        for accuracy in got {
            let (mut top1, mut top5) = (0, 0);
            for (q, &label) in queries.chunks(dim).zip(&query_labels) {
                let length = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
                let mut all: Vec<(f64, usize)> = bank
                    .chunks(dim)
                    .map(|b| {
                        let dot: f64 = b.iter().zip(q).map(|(b, q)| f64::from(b * q)).sum();
                        dot / length(b) / length(q)
                    })
                    .zip(0..)
                    .collect();
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                let mut votes = vec![(0.0, 0); classes];
                for (class, vote) in votes.iter_mut().enumerate() {
                    vote.1 = class;
                }
                for (similarity, index) in all.iter().take(accuracy.k) {
                    votes[bank_labels[*index] as usize].0 += (similarity / 0.07).exp();
                }
                votes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                let rank = votes.iter().position(|vote| vote.1 == label as usize).unwrap();
                top1 += usize::from(rank == 0);
                top5 += usize::from(rank < 5);
            }
            assert_eq!(
                (accuracy.top1, accuracy.top5),
                (f64::from(top1 as u32) / 150.0, f64::from(top5 as u32) / 150.0)
            );
        }
    }

    #[test]
    fn equal_neighbours_and_votes_go_to_the_first() {
        // Four equal training features: the first two are the neighbours, one vote for each class.
        let bank = Labelled { features: &[1.0, 1.0, 2.0, 1.0], labels: &[1, 0, 2, 2] };
        let top = |label: u32, k| {
            let query = Labelled { features: &[3.0], labels: &[label] };
            knn(bank, query, 1, 3, &[k], 0.07).unwrap()[0].top1
        };
        assert_eq!((top(0, 2), top(1, 2)), (1.0, 0.0));
        assert_eq!((top(1, 1), top(2, 4)), (1.0, 1.0));
        assert_eq!(neighbours(bank.features, &[3.0], 1, 3), [[(1.0, 0), (1.0, 1), (1.0, 2)]]);
    }

    #[test]
    fn a_low_temperature_leaves_the_nearest_alone() {
        let bank = Labelled { features: &[1.0, 0.1, 1.0, 0.0, 1.0, 0.0], labels: &[1, 0, 0] };
        let queries = Labelled { features: &[1.0, 0.1], labels: &[1] };
        for temperature in [1e-2, 1e-6, 1e-30] {
            let got = knn(bank, queries, 2, 2, &[3], temperature).unwrap()[0];
            // At 0.01 the two others weigh 2 e^-0.5 = 1.21 together.
            assert_eq!(got.top1, if temperature < 1e-2 { 1.0 } else { 0.0 });
        }
    }

    #[test]
    fn threads_change_nothing() {
        let mut stream = Stream::new(1, Purpose::Test, 0, 0);
        let mut normals = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal()).collect() };
        let (bank, queries) = (normals(1500 * 16), normals(200 * 16));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| neighbours(&bank, &queries, 16, 20))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn bad_sets_are_one_line() {
        let set = Labelled { features: &[1.0, 2.0], labels: &[0] };
        fn error(bank: Labelled, queries: Labelled, ks: &[usize]) -> String {
            let line = knn(bank, queries, 2, 1, ks, 0.07).unwrap_err().to_string();
            assert_eq!(line.lines().count(), 1);
            line
        }
        let none = Labelled { features: &[], labels: &[] };
        assert!(error(none, set, &[1]).contains("k-NN bank: 0 numbers"));
        assert!(error(set, none, &[1]).contains("k-NN queries: 0 numbers"));
        assert!(error(set, set, &[0]).contains("k = 0"));
        let short = Labelled { features: &[1.0], labels: &[0] };
        assert!(error(set, short, &[1]).contains("1 numbers are not 1 features of 2"));
        let label = Labelled { features: &[1.0, 2.0], labels: &[1] };
        assert!(error(set, label, &[1]).contains("label 1 of image 0 is none of the 1 classes"));
        for broken in [f32::NAN, f32::INFINITY] {
            let features = [1.0, broken];
            let broken = Labelled { features: &features, labels: &[0] };
            assert!(error(set, broken, &[1]).contains("a feature of image 0 is"));
        }
    }
}
