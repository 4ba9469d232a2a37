//! PCA whitening.
//!
//! ```text
//! m = mean of X;  S = X^T X / N [- m m^T] = V diag(l) V^T,  l_i >= 1e-5 max l
//! y = diag(l)^-power V^T (x - m)
//! ```
//!
//! X are raw features, not scaled to length 1. Copy detection's moments are not central: the authors'
//! script (`eval_copy_detection.py`, from DINO's) does not subtract m from X before S, and scales only
//! the results.

use isa::Isa;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};

use crate::features::FeatureSet;

/// Rows per product.
const ROWS: usize = 1024;

/// What S is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moments {
    /// X^T X / N.
    Raw,
    /// The covariance: power 1/2 makes every direction's variance 1.
    Central,
}

/// A learned whitening of features of length `dim`.
pub struct Whitening {
    /// m, `[D]`.
    mean: Vec<f32>,
    /// `diag(l)^-power V^T`, `[D,D]`, by decreasing l.
    matrix: Vec<f32>,
}

impl Whitening {
    /// Bytes that learning takes besides the features: S, its mean's part, V and a matrix of work, in f64.
    pub fn learning_bytes(dim: usize) -> usize {
        dim.saturating_mul(dim).saturating_mul(4 * size_of::<f64>())
    }

    /// Learns a whitening from features.
    pub fn learn(features: &FeatureSet, moments: Moments, power: f64) -> Whitening {
        let dim = features.dim;
        let mut sum = DVector::<f64>::zeros(dim);
        let mut squares = DMatrix::<f64>::zeros(dim, dim);
        for rows in features.features.chunks(ROWS * dim) {
            let columns = rows.iter().map(|&x| f64::from(x));
            let columns = DMatrix::from_iterator(dim, rows.len() / dim, columns);
            sum += columns.column_sum();
            squares.gemm(1.0, &columns, &columns.transpose(), 1.0);
        }
        let n = features.rows() as f64;
        let mean = sum / n;
        let about = match moments {
            Moments::Raw => DMatrix::zeros(dim, dim),
            Moments::Central => &mean * mean.transpose(),
        };
        let eigen = SymmetricEigen::new(squares / n - about);
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let least = 1e-5 * eigen.eigenvalues[order[0]];
        let row = |&i: &usize| {
            let scale = eigen.eigenvalues[i].max(least).powf(-power);
            let column = eigen.eigenvectors.column(i);
            (0..dim).map(move |d| (scale * column[d]) as f32).collect::<Vec<f32>>()
        };
        let mean = mean.iter().map(|&mean| mean as f32).collect();
        Whitening { mean, matrix: order.iter().flat_map(row).collect() }
    }

    /// Whitens features in place.
    pub fn apply(&self, set: &mut FeatureSet) {
        let dim = self.mean.len();
        let (by_row, by_column) = (Strides::new(dim, false), Strides::new(dim, true));
        set.features.par_chunks_mut(ROWS * dim).for_each(|rows| {
            for row in rows.chunks_exact_mut(dim) {
                row.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x -= mean);
            }
            let mut white = vec![0.0; rows.len()];
            let sizes = (rows.len() / dim, dim, dim);
            sgemm(
                Isa::preferred(),
                sizes,
                (rows, by_row),
                (&self.matrix, by_column),
                false,
                &mut white,
            );
            rows.copy_from_slice(&white);
        });
    }
}

#[cfg(test)]
mod tests {
    use datasets::Labels;

    use super::*;

    #[test]
    fn a_case_by_hand() {
        let set = |features: &[f32]| FeatureSet {
            features: features.to_vec(),
            dim: 2,
            labels: Labels::None,
            class_names: vec![],
        };
        // Mean (1, 0); X^T X / 4 = diag(2, 1/2), the covariance diag(1, 1/2).
        let learnt = set(&[2.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        for (moments, variance) in [(Moments::Raw, 2f32), (Moments::Central, 1.0)] {
            let whitening = Whitening::learn(&learnt, moments, 0.5);
            // (4 - 1) / sqrt(variance) and 3 / sqrt(1/2); the mean becomes 0. Signs are the solver's choice.
            let mut points = set(&[4.0, 3.0, 1.0, 0.0]);
            whitening.apply(&mut points);
            let want = [3.0 / variance.sqrt(), 3.0 * 2f32.sqrt(), 0.0, 0.0];
            for (got, want) in points.features.iter().zip(want) {
                assert!((got.abs() - want).abs() < 1e-5, "{:?}", points.features);
            }
        }
    }
}
