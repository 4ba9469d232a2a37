//! Agreement of clusters with classes: seven scores as scikit-learn defines them, and accuracy
//! under the best one-to-one match of clusters to classes.
//!
//! All follow from the contingency table `n[i,j]` (images of class i in cluster j), its margins
//! `a[i]`, `b[j]` and N:
//!
//! ```text
//! H(a) = -sum_i a_i/N ln(a_i/N)                MI = sum_ij n_ij/N ln(N n_ij / (a_i b_j))
//! homogeneity = MI/H(a)   completeness = MI/H(b)   V = harmonic mean   NMI = MI / mean(H(a), H(b))
//! AMI = (MI - E[MI]) / (mean(H(a), H(b)) - E[MI])      E: tables drawn at random with these margins
//! ARI = pairs of images that agree, adjusted likewise  Fowlkes-Mallows = TP / sqrt((TP+FP)(TP+FN))
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

/// The scores; 1 is best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClusteringScores {
    /// Normalised mutual information (arithmetic mean of the entropies).
    pub nmi: f64,
    /// Adjusted mutual information (arithmetic mean of the entropies).
    pub ami: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Fowlkes-Mallows index.
    pub fowlkes_mallows: f64,
    /// Clusters hold one class each.
    pub homogeneity: f64,
    /// Each class is in one cluster.
    pub completeness: f64,
    /// Harmonic mean of the two.
    pub v_measure: f64,
    /// Fraction of images whose cluster matches their class under the best one-to-one match.
    pub accuracy: f64,
}

/// Scores of `clusters` against `classes`, one each per image.
///
/// # Panics
/// If the two differ in length.
pub fn clustering_scores(classes: &[u32], clusters: &[u32]) -> ClusteringScores {
    scores_and_match(classes, clusters).0
}

/// The same, and the class matched with each cluster by the best one-to-one match. A cluster has
/// none if there are fewer classes than clusters, or no image of the class is in it.
///
/// # Panics
/// If the two differ in length.
pub fn scores_and_match(
    classes: &[u32],
    clusters: &[u32],
) -> (ClusteringScores, BTreeMap<u32, u32>) {
    assert_eq!(classes.len(), clusters.len(), "a class and a cluster for each image");
    let table = Contingency::new(classes, clusters);
    let (h_class, h_cluster) = (entropy(&table.rows), entropy(&table.columns));
    let mi = table.mutual_information();
    let homogeneity = if h_class > 0.0 { mi / h_class } else { 1.0 };
    let completeness = if h_cluster > 0.0 { mi / h_cluster } else { 1.0 };
    let sum = homogeneity + completeness;
    let v_measure = if sum == 0.0 { 0.0 } else { 2.0 * homogeneity * completeness / sum };
    let mean = 0.5 * (h_class + h_cluster);
    let (r, c) = (table.rows.len(), table.columns.len());
    let (nmi, ami) = if r <= 1 && c <= 1 {
        (1.0, 1.0)
    } else if r == 1 || c == 1 {
        (0.0, 0.0)
    } else {
        let nmi = if mi == 0.0 { 0.0 } else { mi / mean };
        // Both are 0 for a perfect match of singletons; the score is then 1.
        let away = |x: f64| if x < 0.0 { x.min(-f64::EPSILON) } else { x.max(f64::EPSILON) };
        let expected = table.expected_mutual_information();
        (nmi, away(mi - expected) / away(mean - expected))
    };
    let (ari, fowlkes_mallows) = table.pair_scores();
    let n = classes.len() as f64;
    let matched = table.best_match();
    let right: u64 = matched.iter().map(|(_, _, images)| images).sum();
    let accuracy = if classes.is_empty() { 1.0 } else { right as f64 / n };
    let scores = ClusteringScores {
        nmi,
        ami,
        ari,
        fowlkes_mallows,
        homogeneity,
        completeness,
        v_measure,
        accuracy,
    };
    (scores, table.labels_of(&matched))
}

/// The contingency table, non-zero entries only.
struct Contingency {
    /// (row, column, images).
    cells: Vec<(usize, usize, u64)>,
    rows: Vec<u64>,
    columns: Vec<u64>,
    total: u64,
    /// The classes of the rows and the clusters of the columns.
    labels: [Vec<u32>; 2],
}

impl Contingency {
    fn new(classes: &[u32], clusters: &[u32]) -> Contingency {
        let (row_of, rows) = margin(classes);
        let (column_of, columns) = margin(clusters);
        let mut cells = BTreeMap::new();
        for (class, cluster) in classes.iter().zip(clusters) {
            *cells.entry((row_of[class], column_of[cluster])).or_insert(0) += 1;
        }
        let cells = cells.into_iter().map(|((i, j), n)| (i, j, n)).collect();
        let labels = [row_of, column_of].map(|places| places.into_keys().collect());
        Contingency { cells, rows, columns, total: classes.len() as u64, labels }
    }

    fn mutual_information(&self) -> f64 {
        if self.rows.len() <= 1 || self.columns.len() <= 1 {
            return 0.0;
        }
        let n = self.total as f64;
        let part = |&(i, j, count): &(usize, usize, u64)| {
            let outer = self.rows[i] as f64 * self.columns[j] as f64;
            let count = count as f64;
            let part = count / n * (count.ln() - n.ln()) + count / n * (2.0 * n.ln() - outer.ln());
            if part.abs() < f64::EPSILON { 0.0 } else { part }
        };
        self.cells.iter().map(part).sum::<f64>().max(0.0)
    }

    /// `E[MI] = sum_ij sum_n n/N ln(N n / (a b)) P(n)`, P hypergeometric (Vinh et al., 2010). Equal
    /// margins give equal terms, so each pair of sizes is computed once.
    fn expected_mutual_information(&self) -> f64 {
        let n = self.total as usize;
        let ln_factorial = ln_factorials(n);
        let total = n as f64;
        let mut expected = 0.0;
        for (&a, &times_a) in &multiplicities(&self.rows) {
            for (&b, &times_b) in &multiplicities(&self.columns) {
                let fixed =
                    ln_factorial[a] + ln_factorial[b] + ln_factorial[n - a] + ln_factorial[n - b]
                        - ln_factorial[n];
                let term = |count: usize| {
                    let p = fixed
                        - ln_factorial[count]
                        - ln_factorial[a - count]
                        - ln_factorial[b - count]
                        - ln_factorial[n + count - a - b];
                    let x = count as f64;
                    x / total * (total.ln() + x.ln() - (a as f64).ln() - (b as f64).ln()) * p.exp()
                };
                let sum: f64 = ((a + b).saturating_sub(n).max(1)..=a.min(b)).map(term).sum();
                expected += (times_a * times_b) as f64 * sum;
            }
        }
        expected
    }

    /// Adjusted Rand index and Fowlkes-Mallows index, from ordered pairs of images.
    fn pair_scores(&self) -> (f64, f64) {
        let square = |count: &u64| i128::from(*count) * i128::from(*count);
        let n = i128::from(self.total);
        let cells: i128 = self.cells.iter().map(|(_, _, count)| square(count)).sum();
        let rows: i128 = self.rows.iter().map(square).sum();
        let columns: i128 = self.columns.iter().map(square).sum();
        // Together in both, in clusters alone, in classes alone, in neither.
        let (tp, fp, fnn) = (cells - n, columns - cells, rows - cells);
        let tn = n * n - cells - fp - fnn;
        let [tp, fp, fnn, tn] = [tp, fp, fnn, tn].map(|pairs| pairs as f64);
        let ari = if fp == 0.0 && fnn == 0.0 {
            1.0
        } else {
            2.0 * (tp * tn - fnn * fp) / ((tp + fnn) * (fnn + tn) + (tp + fp) * (fp + tn))
        };
        let fowlkes_mallows =
            if tp == 0.0 { 0.0 } else { (tp / (tp + fp)).sqrt() * (tp / (tp + fnn)).sqrt() };
        (ari, fowlkes_mallows)
    }

    /// The cells of the best one-to-one match that are not 0.
    fn best_match(&self) -> Vec<(usize, usize, u64)> {
        let is_wide = self.rows.len() <= self.columns.len();
        let (rows, columns) = if is_wide {
            (self.rows.len(), self.columns.len())
        } else {
            (self.columns.len(), self.rows.len())
        };
        let mut gain = vec![0i64; rows * columns];
        for &(i, j, count) in &self.cells {
            let (i, j) = if is_wide { (i, j) } else { (j, i) };
            gain[i * columns + j] = count as i64;
        }
        let chosen = assignment(&gain, rows, columns);
        let is_chosen = |&&(i, j, _): &&(usize, usize, u64)| {
            let (row, column) = if is_wide { (i, j) } else { (j, i) };
            chosen[row] == column
        };
        self.cells.iter().filter(is_chosen).copied().collect()
    }

    /// The class of each matched cluster.
    fn labels_of(&self, matched: &[(usize, usize, u64)]) -> BTreeMap<u32, u32> {
        let [classes, clusters] = &self.labels;
        matched.iter().map(|&(i, j, _)| (clusters[j], classes[i])).collect()
    }
}

/// Renumbers the labels that occur from 0, in order, and counts each.
fn margin(labels: &[u32]) -> (BTreeMap<u32, usize>, Vec<u64>) {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(*label).or_insert(0u64) += 1;
    }
    let place = counts.keys().copied().zip(0..).collect();
    (place, counts.into_values().collect())
}

fn multiplicities(sizes: &[u64]) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    for &size in sizes {
        *times.entry(size as usize).or_insert(0) += 1;
    }
    times
}

fn entropy(sizes: &[u64]) -> f64 {
    if sizes.len() <= 1 {
        return 0.0;
    }
    let n = sizes.iter().sum::<u64>() as f64;
    -sizes.iter().map(|&size| size as f64 / n * ((size as f64).ln() - n.ln())).sum::<f64>()
}

/// ln k! for k in 0..=n, with Kahan summation, since large values are subtracted from each other.
fn ln_factorials(n: usize) -> Vec<f64> {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    let next = |k: usize| {
        let term = (k.max(1) as f64).ln() - lost;
        let larger = sum + term;
        lost = (larger - sum) - term;
        sum = larger;
        sum
    };
    (0..=n).map(next).collect()
}

/// Assigns each row its own column, maximising the total gain: the Hungarian method by shortest
/// augmenting paths, `rows <= columns`.
fn assignment(gain: &[i64], rows: usize, columns: usize) -> Vec<usize> {
    const FREE: usize = usize::MAX;
    let (mut row_price, mut column_price) = (vec![0i64; rows], vec![0i64; columns]);
    let mut row_of = vec![FREE; columns];
    for start in 0..rows {
        let mut distance = vec![i64::MAX; columns];
        let mut before = vec![FREE; columns];
        let mut is_done = vec![false; columns];
        // The path's last column; `None` at its first row.
        let mut last = FREE;
        let end = loop {
            let row = if last == FREE { start } else { row_of[last] };
            let length = if last == FREE { 0 } else { distance[last] };
            let mut nearest = FREE;
            for column in 0..columns {
                if is_done[column] {
                    continue;
                }
                let cost = -gain[row * columns + column] - row_price[row] - column_price[column];
                if length + cost < distance[column] {
                    (distance[column], before[column]) = (length + cost, last);
                }
                if nearest == FREE || distance[column] < distance[nearest] {
                    nearest = column;
                }
            }
            is_done[nearest] = true;
            last = nearest;
            if row_of[nearest] == FREE {
                break nearest;
            }
        };
        let length = distance[end];
        row_price[start] += length;
        for column in (0..columns).filter(|&column| is_done[column] && column != end) {
            row_price[row_of[column]] += length - distance[column];
            column_price[column] -= length - distance[column];
        }
        let mut column = end;
        while column != FREE {
            let previous = before[column];
            row_of[column] = if previous == FREE { start } else { row_of[previous] };
            column = previous;
        }
    }
    let mut chosen = vec![0; rows];
    for (column, &row) in row_of.iter().enumerate().filter(|&(_, &row)| row != FREE) {
        chosen[row] = column;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use tensor::random::{Purpose, Stream};

    use super::*;

    #[test]
    fn a_case_by_hand() {
        // Table 2 1 / 0 1: pairs together in both 1, in classes 3, in clusters 2, in all 6.
        let scores = clustering_scores(&[0, 0, 0, 1], &[5, 5, 9, 9]);
        assert!((scores.ari - 0.0).abs() < 1e-15, "{scores:?}");
        assert!((scores.fowlkes_mallows - 1.0 / 6.0f64.sqrt()).abs() < 1e-15);
        assert_eq!(scores.accuracy, 0.75);
    }

    #[test]
    fn clusters_are_matched_with_classes_that_they_hold() {
        let matched = |classes: &[u32], clusters: &[u32]| {
            scores_and_match(classes, clusters).1.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(matched(&[0, 0, 0, 1], &[5, 5, 9, 9]), [(5, 0), (9, 1)]);
        // Three clusters of two classes: the smallest has none.
        assert_eq!(matched(&[7, 7, 7, 3, 3], &[0, 0, 1, 2, 2]), [(0, 7), (2, 3)]);
        // What is left for a class may hold no image of it.
        assert_eq!(matched(&[0, 0, 1], &[4, 4, 4]), [(4, 0)]);
        assert_eq!(matched(&[0, 0, 1], &[4, 6, 4]), [(4, 1), (6, 0)]);
        assert_eq!(matched(&[0, 0, 0, 0, 1], &[4, 4, 4, 6, 4]), [(4, 0)]);
    }

    #[test]
    fn the_match_is_the_best_of_all() {
        fn best(
            gain: &[i64],
            rows: usize,
            columns: usize,
            taken: &mut Vec<bool>,
            row: usize,
        ) -> i64 {
            if row == rows {
                return 0;
            }
            let mut most = i64::MIN;
            for column in 0..columns {
                if !taken[column] {
                    taken[column] = true;
                    let rest = best(gain, rows, columns, taken, row + 1);
                    most = most.max(gain[row * columns + column] + rest);
                    taken[column] = false;
                }
            }
            most
        }
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        for case in 0..300 {
            let rows = 1 + case % 5;
            let columns = rows + case / 5 % 3;
            let gain: Vec<i64> = (0..rows * columns).map(|_| stream.below(9).into()).collect();
            let chosen = assignment(&gain, rows, columns);
            let sum: i64 = (0..rows).map(|row| gain[row * columns + chosen[row]]).sum();
            assert_eq!(sum, best(&gain, rows, columns, &mut vec![false; columns], 0));
        }
    }
}
