//! The nearest features by cosine. Queries and bank are multiplied block by block in a GEMM,
//! keeping only the best so far per query, so memory is that of the features themselves.

use datasets::Progress;
use isa::{Isa, multiversion};
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};
use tensor::cpu::reduce::dot;

/// Maximum queries per task: fewer if there are few, to keep all threads busy.
const QUERIES: usize = 1024;
/// Number of tasks, if there are enough queries.
const TASKS: usize = 8;
/// Training features per product. Both operands are packed anew for every product, so larger ones
/// pack less.
const BANK: usize = 2048;
/// Similarities compared with the threshold together.
const GROUP: usize = 32;
/// A training feature near a query: similarity and index.
pub type Neighbour = (f32, u32);

/// The `most` nearest training features of each query by cosine, nearest first. A feature of zeros
/// has cosine 0 with all. Reports the queries done.
#[allow(clippy::redundant_closure, reason = "closures belong to a version, functions do not")]
#[multiversion(Isa::preferred())]
pub fn neighbours(
    bank: &[f32],
    queries: &[f32],
    dim: usize,
    most: usize,
    progress: Progress,
) -> Vec<Vec<Neighbour>> {
    let isa = Isa::preferred();
    let scales: Vec<f32> = bank.par_chunks(dim).map(|x| inverse_length(x)).collect();
    // A query is done when it has met every block of the bank.
    let counter = progress.counter(queries.len() / dim, scales.len().div_ceil(BANK));
    let compare = |queries: &[f32]| {
        let mut unit = queries.to_vec();
        for query in unit.chunks_exact_mut(dim) {
            let scale = inverse_length(query);
            query.iter_mut().for_each(|x| *x *= scale);
        }
        let count = queries.len() / dim;
        let mut best: Vec<Best> = (0..count).map(|_| Best::new(most)).collect();
        let mut similarities = vec![0.0; count * BANK.min(scales.len())];
        let (by_row, by_column) = (Strides::new(dim, false), Strides::new(dim, true));
        let blocks = bank.chunks(BANK * dim).zip(scales.chunks(BANK));
        for (block, (bank, scales)) in blocks.enumerate() {
            let n = scales.len();
            let similarities = &mut similarities[..count * n];
            sgemm(isa, (count, dim, n), (&unit, by_row), (bank, by_column), false, similarities);
            for (row, best) in similarities.chunks_exact(n).zip(&mut best) {
                best.take(row, scales, (block * BANK) as u32);
            }
            counter.add(count);
        }
        best.into_iter().map(Best::sorted).collect::<Vec<_>>()
    };
    queries.par_chunks(rows_of_task(queries.len() / dim) * dim).flat_map_iter(compare).collect()
}

/// Bytes that [`neighbours`] takes, beside features and results, on so many threads.
pub fn memory(bank: usize, queries: usize, dim: usize, threads: usize) -> usize {
    let task = rows_of_task(queries).min(queries) * (dim + BANK.min(bank));
    size_of::<f32>() * (bank + threads * task)
}

fn rows_of_task(queries: usize) -> usize {
    (queries / TASKS).clamp(8, QUERIES)
}

/// 1 / |x|, with |x| at least 1e-12; in double precision if the squares need its range.
#[inline(always)]
fn inverse_length(x: &[f32]) -> f32 {
    let square = dot(x, x);
    if square.is_normal() {
        return 1.0 / square.sqrt().max(1e-12);
    }
    let square: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (1.0 / square.sqrt().max(1e-12)) as f32
}

/// The nearest training features so far. Candidates are collected; at twice the number needed, the
/// worse half is dropped and the threshold rises.
struct Best {
    most: usize,
    found: Vec<Neighbour>,
    /// Anything not above this cannot be among the nearest.
    threshold: f32,
}

impl Best {
    fn new(most: usize) -> Best {
        Best { most, found: Vec::new(), threshold: f32::NEG_INFINITY }
    }

    /// Scans one query's products with a block of the bank; `scales` are 1 / length.
    #[inline(always)]
    fn take(&mut self, products: &[f32], scales: &[f32], first: u32) {
        let groups = products.chunks(GROUP).zip(scales.chunks(GROUP));
        for (first, (products, scales)) in (first..).step_by(GROUP).zip(groups) {
            let similarities = products.iter().zip(scales).map(|(product, scale)| product * scale);
            // Rarely true once the threshold is high; branch-free, so it vectorises.
            if !similarities.clone().fold(false, |any, s| any | (s > self.threshold)) {
                continue;
            }
            for (index, similarity) in (first..).zip(similarities) {
                if similarity > self.threshold {
                    self.found.push((similarity, index));
                }
            }
            if self.found.len() >= 2 * self.most.max(GROUP) {
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        if self.found.len() > self.most {
            self.found.select_nth_unstable_by(self.most - 1, nearer);
            self.found.truncate(self.most);
            // Later features of equal similarity rank lower: only larger ones may enter.
            self.threshold = self.found[self.most - 1].0;
        }
    }

    fn sorted(mut self) -> Vec<Neighbour> {
        self.shrink();
        self.found.sort_unstable_by(nearer);
        self.found.shrink_to_fit();
        self.found
    }
}

/// Nearest first; ties go to the earlier training feature.
fn nearer(a: &Neighbour, b: &Neighbour) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_queries_that_met_the_whole_bank() {
        let (bank, queries) = (vec![1.0; 2 * BANK + 1], vec![1.0; 20]);
        let seen = std::sync::Mutex::new(Vec::new());
        let show = |done, all| seen.lock().unwrap().push((done, all));
        neighbours(&bank, &queries, 1, 1, Progress::new(&show));
        let seen = seen.into_inner().unwrap();
        // Tasks of 8, 8 and 4 queries, three blocks each.
        assert!(seen.is_sorted() && seen.len() == 9, "{seen:?}");
        assert_eq!(seen.last(), Some(&(20, 20)));
    }
}
