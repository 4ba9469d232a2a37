//! Weighted k-nearest-neighbour classification (Wu et al., 2018), as self-supervised methods report
//! it.
//!
//! The k training features b most similar to a query q, `s = <q, b> / (|q| |b|)`, vote for their
//! class with weight `exp(s / T)`.

use std::collections::BTreeSet;

use carp::error::{Error, Result};
use datasets::Progress;
use rayon::prelude::*;
use tensor::math::exp;

use crate::accuracy::first_of_most;
use crate::confusion::Confusion;
use crate::features::{ClassIds, FeatureSet, Labelled};
pub use crate::knn_result::{KnnAccuracy, KnnOptions, KnnResult, Ranking};
use crate::neighbours::{Neighbour, neighbours};

/// Classes returned per query.
const RANKS: usize = 5;

/// k-NN accuracy of a test set against a training set; reports the queries done.
///
/// # Errors
/// Sets without classes or of different length of feature, and those of [`classify`].
pub fn evaluate(
    train: &FeatureSet,
    test: &FeatureSet,
    mut options: KnnOptions,
    progress: Progress,
) -> Result<KnnResult> {
    let mut seen = BTreeSet::new();
    options.ks.retain(|&k| seen.insert(k));
    train.same_classes(test)?;
    let bank = train.classes("training features".as_ref())?;
    let queries = test.classes("test features".as_ref())?;
    let ids = ClassIds::of(&[bank, queries]);
    let classes = ids.count();
    let mut rankings = classify(
        Labelled { features: &train.features, labels: &ids.classes(bank) },
        Labelled { features: &test.features, labels: &ids.classes(queries) },
        train.dim,
        classes,
        &options.ks,
        options.temperature,
        progress,
    )?;
    for class in rankings.iter_mut().flatten().flatten() {
        *class = ids.label(*class);
    }
    let accuracies = accuracies(&options.ks, &rankings, bank.len(), queries);
    let best = first_of_most(accuracies.iter().map(|accuracy| accuracy.top1));
    let best = (!accuracies.is_empty()).then_some(best);
    let confusion = best.map_or_else(Confusion::default, |best| {
        let predicted = rankings[best].iter().map(|ranking| Some(ranking[0]));
        let pairs = queries.iter().copied().zip(predicted);
        Confusion::of(ids.labels(), pairs).named(test.names(train))
    });
    Ok(KnnResult {
        bank: bank.len(),
        queries: queries.len(),
        dim: train.dim,
        classes,
        confusion_k: best.map_or(0, |best| options.ks[best]),
        confusion,
        accuracies,
        rankings,
        options,
    })
}

/// Accuracy for each of `ks`, in one pass over the bank; see [`classify`].
///
/// # Errors
/// Those of [`classify`].
pub fn knn(
    bank: Labelled,
    queries: Labelled,
    dim: usize,
    classes: usize,
    ks: &[usize],
    temperature: f32,
) -> Result<Vec<KnnAccuracy>> {
    let rankings = classify(bank, queries, dim, classes, ks, temperature, Progress::none())?;
    Ok(accuracies(ks, &rankings, bank.labels.len(), queries.labels))
}

fn accuracies(
    ks: &[usize],
    rankings: &[Vec<Ranking>],
    bank: usize,
    labels: &[u32],
) -> Vec<KnnAccuracy> {
    let accuracy = |(&k, rankings): (&usize, &Vec<Ranking>)| {
        let within = |most: usize| {
            let asked = rankings.iter().zip(labels);
            asked.filter(|(ranking, label)| ranking.iter().take(most).any(|c| c == *label)).count()
        };
        let share = |most: usize| within(most) as f64 / rankings.len() as f64;
        KnnAccuracy { k, voters: k.min(bank), top1: share(1), top5: share(RANKS) }
    };
    ks.iter().zip(rankings).map(accuracy).collect()
}

/// The ranking of every query for each of `ks`. If the bank is smaller than k, all of it votes.
/// Ties go to the earlier training feature and to the lower class. Reports the queries done.
///
/// # Errors
/// No features, sizes that do not fit, a label out of range, a feature that is not finite, a k of
/// 0, or a temperature that is not above 0.
pub fn classify(
    bank: Labelled,
    queries: Labelled,
    dim: usize,
    classes: usize,
    ks: &[usize],
    temperature: f32,
    progress: Progress,
) -> Result<Vec<Vec<Ranking>>> {
    for (name, set) in [("bank", bank), ("queries", queries)] {
        check(set, dim, classes).map_err(|what| Error::usage(format!("k-NN {name}: {what}")))?;
    }
    if ks.contains(&0) {
        return Err(Error::usage("k-NN with k = 0: choose at least 1".to_owned()));
    }
    if temperature.is_nan() || temperature <= 0.0 {
        return Err(Error::usage(format!("k-NN with T = {temperature}: should be above 0")));
    }
    let most = ks.iter().copied().max().unwrap_or(1);
    let neighbours = neighbours(bank.features, queries.features, dim, most, progress);
    let rankings = |&k: &usize| {
        let rank = |votes: &mut Vec<Option<f32>>, neighbours: &Vec<Neighbour>| {
            votes.clear();
            votes.resize(classes, None);
            // Only ratios of votes matter: scaling the nearest to weight 1 avoids overflow.
            let nearest = neighbours.first().map_or(0.0, |&(similarity, _)| similarity);
            for &(similarity, index) in neighbours.iter().take(k) {
                let weight = exp((similarity - nearest) / temperature);
                let class = bank.labels[index as usize] as usize;
                *votes[class].get_or_insert(0.0) += weight;
            }
            first_classes(votes)
        };
        neighbours.par_iter().map_init(Vec::new, rank).collect()
    };
    Ok(ks.iter().map(rankings).collect())
}

/// The classes with the most votes, in order; `None` is no vote, whereas a far neighbour's may have
/// rounded to 0.
fn first_classes(votes: &[Option<f32>]) -> Ranking {
    let mut first: Vec<(f32, u32)> = Vec::with_capacity(RANKS + 1);
    for (class, vote) in (0..).zip(votes).filter_map(|(class, vote)| Some((class, (*vote)?))) {
        if first.len() == RANKS && first[RANKS - 1].0 >= vote {
            continue;
        }
        let place = first.partition_point(|&(other, _)| other >= vote);
        first.insert(place, (vote, class));
        first.truncate(RANKS);
    }
    first.into_iter().map(|(_, class)| class).collect()
}

/// What is wrong with a set, if anything.
fn check(set: Labelled, dim: usize, classes: usize) -> std::result::Result<(), String> {
    let (numbers, rows) = (set.features.len(), set.labels.len());
    if rows == 0 || dim == 0 || numbers != rows * dim {
        return Err(format!("{numbers} numbers are not {rows} features of {dim}"));
    }
    if let Some(row) = set.labels.iter().position(|&label| label as usize >= classes) {
        let label = set.labels[row];
        return Err(format!("label {label} of image {row} should be below {classes}"));
    }
    // Nothing compares larger than NaN: a broken network would seem always right.
    if let Some(at) = set.features.iter().position(|feature| !feature.is_finite()) {
        let (row, feature) = (at / dim, set.features[at]);
        return Err(format!("a feature of image {row} is {feature}: the network is broken"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tensor::random::{Purpose, Stream};

    use super::*;

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
        // A bank smaller than k votes in full.
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
                votes.retain(|vote| vote.0 > 0.0);
                let rank = votes.iter().position(|vote| vote.1 == label as usize);
                let rank = rank.unwrap_or(classes);
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
    fn only_classes_with_a_vote_count() {
        // Classes 0, 1 and 2 at 0, 30 and 90 degrees; queries of class 2 and 1 at 10 degrees.
        let bank = [1.0, 0.0, 0.866, 0.5, 0.0, 1.0];
        let bank = Labelled { features: &bank, labels: &[0, 1, 2] };
        let query = [0.985, 0.174, 0.985, 0.174];
        let queries = Labelled { features: &query, labels: &[2, 1] };
        let got = knn(bank, queries, 2, 8, &[1, 2, 3, 200], 0.07).unwrap();
        // One neighbour votes for class 0 alone, two for 0 and 1, three for all.
        let top5: Vec<f64> = got.iter().map(|accuracy| accuracy.top5).collect();
        assert_eq!(top5, [0.0, 0.5, 1.0, 1.0]);
        assert!(got.iter().all(|accuracy| accuracy.top1 == 0.0));
        // The bank has only three.
        let names: Vec<String> = got.iter().map(KnnAccuracy::name).collect();
        assert_eq!(names, ["1", "2", "3", "200 (all 3)"]);
        // The farthest vote rounds to 0 and still counts.
        assert_eq!(knn(bank, queries, 2, 8, &[3], 1e-6).unwrap()[0].top5, 1.0);
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
        assert_eq!(
            neighbours(bank.features, &[3.0], 1, 3, Progress::none()),
            [[(1.0, 0), (1.0, 1), (1.0, 2)]]
        );
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
            pool.install(|| neighbours(&bank, &queries, 16, 20, Progress::none()))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn all_equal_leaves_the_first() {
        // Every training feature is as near as every other: the lowest indices stay, in order.
        let bank: Vec<f32> = (0..5000).map(|i| (i % 7 + 1) as f32).collect();
        let nearest = &neighbours(&bank, &[2.0], 1, 40, Progress::none())[0];
        assert!(nearest.iter().map(|&(_, index)| index).eq(0..40));
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
        assert!(error(set, label, &[1]).contains("label 1 of image 0 should be below 1"));
        for broken in [f32::NAN, f32::INFINITY] {
            let features = [1.0, broken];
            let broken = Labelled { features: &features, labels: &[0] };
            assert!(error(set, broken, &[1]).contains("a feature of image 0 is"));
        }
    }
}
