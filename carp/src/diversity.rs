//! How varied prototypes and features are. Runs of this family can collapse in part while their loss
//! looks healthy: many prototypes become copies of few (Govindarajan et al., "On Partial Prototype
//! Collapse in the DINO Family of Self-Supervised Methods", 2024), or the features fill few
//! dimensions.

use isa::Isa;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};
use tensor::cpu::gemm::{gemm, workspace};
use tensor::geometry::Gemm;

/// Most prototypes that are looked at, unless one block has more, and most that are compared.
pub const PROTOTYPES: usize = 2048;
/// Most images' features that are looked at.
const ROWS: usize = 256;
/// Prototypes that are compared with all others at a time: the cosines of all would take 16 MiB.
const COMPARED: usize = 64;
/// The cosine from which on two prototypes are taken for the same: 1 - 0.025, as in that paper.
const SAME: f32 = 0.975;

/// Measures of one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Prototypes that are the strongest of their block for an image, as a share of how many could
    /// be.
    pub prototypes_in_use: f64,
    /// All images choose the same one of each block: none fewer can be in use.
    #[serde(skip)]
    pub is_one_per_block: bool,
    /// Prototypes no two of which point the same way.
    pub distinct_prototypes: usize,
    /// Of this many.
    pub compared_prototypes: usize,
    /// [`effective_rank`] of the features.
    pub effective_rank: f64,
}

impl Diversity {
    /// Measures features `[R,F]`, embeddings `[R,D]` and some prototypes `[P,D]`, the blocks of which
    /// are `block` rows each.
    pub fn of(
        features: &[f32],
        embeddings: &[f32],
        prototypes: &[f32],
        (rows, dim, block): (usize, usize, usize),
    ) -> Diversity {
        let kept = rows.min(ROWS);
        let looked_at = prototypes.len() / dim;
        // Of one large block, which the softmax sees whole, a part: the work is quadratic.
        let compared = looked_at.min(PROTOTYPES);
        let prototypes = normalised(prototypes, dim);
        let (features, embeddings) =
            (&features[..kept * (features.len() / rows)], &embeddings[..kept * dim]);
        let (used, most) = in_use(&product(embeddings, &prototypes, dim), looked_at, block);
        Diversity {
            prototypes_in_use: used as f64 / most as f64,
            is_one_per_block: used == looked_at / block && used < most,
            distinct_prototypes: distinct(&prototypes[..compared * dim], dim),
            compared_prototypes: compared,
            effective_rank: effective_rank(features, kept),
        }
    }
}

/// Rows of length 1; rows of zeros stay.
fn normalised(x: &[f32], columns: usize) -> Vec<f32> {
    let row = |row: &[f32]| {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter().map(|x| x / norm).collect::<Vec<f32>>()
    };
    x.chunks_exact(columns).flat_map(row).collect()
}

/// a b^T for a `[m,k]` and b `[n,k]`.
fn product(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let sizes = Gemm { m: a.len() / k, n: b.len() / k, k, trans_a: false, trans_b: true };
    let mut product = vec![0.0; sizes.m * sizes.n];
    gemm(Isa::preferred(), sizes, a, b, &mut product, &mut vec![0.0; workspace(sizes)]);
    product
}

/// How many columns are a row's largest in their block, and how many could be.
fn in_use(logits: &[f32], columns: usize, block: usize) -> (usize, usize) {
    let mut is_used = vec![false; columns];
    for row in logits.chunks_exact(columns) {
        for (start, logits) in (0..).step_by(block).zip(row.chunks_exact(block)) {
            let largest = (0..block).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            is_used[start + largest.expect("a block has columns")] = true;
        }
    }
    let rows = logits.len() / columns;
    let most = columns / block * rows.min(block);
    (is_used.iter().filter(|&&used| used).count(), most)
}

/// How many of the rows of length 1 remain if each that points the same way as an earlier one is left
/// out.
fn distinct(x: &[f32], columns: usize) -> usize {
    let mut kept: Vec<usize> = Vec::new();
    for (first, group) in (0..).step_by(COMPARED).zip(x.chunks(COMPARED * columns)) {
        let cosines = product(group, x, columns);
        for (this, row) in (first..).zip(cosines.chunks_exact(x.len() / columns)) {
            if kept.iter().all(|&other| row[other] < SAME) {
                kept.push(this);
            }
        }
    }
    kept.len()
}

/// exp of the entropy of a matrix's singular values as shares of their sum (Roy and Vetterli 2007;
/// RankMe): 1 if all of its `rows` rows are multiples of one, 0 if it is zero.
pub fn effective_rank(x: &[f32], rows: usize) -> f64 {
    let x = DMatrix::from_row_iterator(rows, x.len() / rows, x.iter().map(|&x| f64::from(x)));
    // The smaller of the two products that have the squared singular values.
    let squares = if x.nrows() < x.ncols() { &x * x.transpose() } else { x.transpose() * &x };
    let singular: Vec<f64> =
        squares.symmetric_eigenvalues().iter().map(|square| square.max(0.0).sqrt()).collect();
    let sum: f64 = singular.iter().sum();
    let shares = singular.iter().map(|value| value / sum).filter(|&share| share > 0.0);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    if sum > 0.0 { entropy.exp() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_count_once() {
        // Three directions: of the first there is a longer copy, and one 5 degrees off it.
        let (sin, cos) = 5f32.to_radians().sin_cos();
        let v = [[1.0, 0.0], [3.0, 0.0], [cos, sin], [0.0, 1.0], [-1.0, 0.0]].concat();
        let of = |prototypes: &[f32], block| {
            Diversity::of(&[1.0, 0.0], &[0.5, 0.1], prototypes, (1, 2, block))
        };
        let diversity = of(&v, 5);
        assert_eq!((diversity.distinct_prototypes, diversity.compared_prototypes), (3, 5));
        assert!(diversity.prototypes_in_use == 1.0 && !diversity.is_one_per_block);
        assert_eq!(diversity.effective_rank, 1.0);
    }

    #[test]
    fn of_a_large_block_a_part_is_compared() {
        // Two directions, of which the compared prototypes have one.
        let (compared, others) = ([1.0, 0.0].repeat(PROTOTYPES), [0.0, 1.0].repeat(PROTOTYPES));
        let all = [compared, others].concat();
        let diversity = Diversity::of(&[1.0, 0.0], &[0.0, 1.0], &all, (1, 2, 2 * PROTOTYPES));
        assert_eq!((diversity.compared_prototypes, diversity.distinct_prototypes), (PROTOTYPES, 1));
        // Of the others one is in use, as many as one row can have.
        assert_eq!(diversity.prototypes_in_use, 1.0);
    }

    #[test]
    fn copies_in_another_group_count_once() {
        // A circle in steps of 15 degrees (a cosine of 0.966), eight times around.
        let directions = (0..3 * COMPARED).map(|i| (15.0 * (i % 24) as f32).to_radians());
        let x: Vec<f32> = directions.flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        assert_eq!(distinct(&x, 2), 24);
    }

    #[test]
    fn only_the_strongest_of_a_block_are_in_use() {
        // Two rows, two blocks of two: of the first block both are used, of the second one.
        let logits = [[0.5, 0.1, 2.0, 1.0], [-3.0, -2.0, 0.1, 0.0]].concat();
        assert_eq!(in_use(&logits, 4, 2), (3, 4));
        // One row can use one prototype of a block only.
        assert_eq!(in_use(&logits[..4], 4, 2), (2, 2));
        assert_eq!(in_use(&logits, 4, 4), (1, 2));
    }

    #[test]
    fn effective_ranks_are_those_of_numpy() {
        // Equal singular values: as many as there are.
        let mut identity = [0.0; 16];
        (0..4).for_each(|i| identity[5 * i] = 2.0);
        assert!((effective_rank(&identity, 4) - 4.0).abs() < 1e-12);
        assert!((effective_rank(&[1.0, 2.0, 2.0, 4.0, -1.0, -2.0], 3) - 1.0).abs() < 1e-6);
        assert_eq!(effective_rank(&[0.0; 6], 2), 0.0);
        // s = numpy.linalg.svd(x, compute_uv=False); p = s / s.sum(); exp(-(p * log(p)).sum())
        let x = [1.0, 2.0, 3.0, 4.0, 0.5, -1.0, 2.5, 0.0, -2.0, 1.0, 0.0, 3.0];
        assert!((effective_rank(&x, 3) - 2.648621323187).abs() < 1e-9, "{}", effective_rank(&x, 3));
        assert!((effective_rank(&x, 4) - 2.648755497553).abs() < 1e-9, "{}", effective_rank(&x, 4));
    }
}
