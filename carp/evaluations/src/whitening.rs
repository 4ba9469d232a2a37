//! PCA whitening for copy detection.
//!
//! ```text
//! S = X^T X / N (not centred) = V diag(l) V^T,  l_i >= 1e-5 max l;   y = diag(l)^-power V^T x
//! ```
//!
//! Features are scaled to length 1 before and after.

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};

use crate::features::FeatureSet;

/// Rows per product.
const ROWS: usize = 1024;

/// A learned whitening of features of length `dim`.
pub struct Whitening {
    dim: usize,
    /// `diag(l)^-power V^T`, `[D,D]`, by decreasing l.
    matrix: Vec<f32>,
}

impl Whitening {
    /// Learns a whitening from features.
    pub fn learn(features: &FeatureSet, power: f64) -> Whitening {
        let dim = features.dim;
        let mut sum = DMatrix::<f64>::zeros(dim, dim);
        for rows in features.features.chunks(ROWS * dim) {
            let unit =
                DMatrix::from_fn(dim, rows.len() / dim, |d, row| f64::from(rows[row * dim + d]));
            let unit = unit_columns(unit);
            sum.gemm(1.0, &unit, &unit.transpose(), 1.0);
        }
        let eigen = SymmetricEigen::new(sum / features.rows() as f64);
        let mut order: Vec<usize> = (0..dim).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let least = 1e-5 * eigen.eigenvalues[order[0]];
        let row = |&i: &usize| {
            let scale = eigen.eigenvalues[i].max(least).powf(-power);
            let column = eigen.eigenvectors.column(i);
            (0..dim).map(move |d| (scale * column[d]) as f32).collect::<Vec<f32>>()
        };
        Whitening { dim, matrix: order.iter().flat_map(row).collect() }
    }

    /// Whitens features in place.
    pub fn apply(&self, set: &mut FeatureSet) {
        let dim = self.dim;
        let (by_row, by_column) = (Strides::new(dim, false), Strides::new(dim, true));
        set.features.par_chunks_mut(ROWS * dim).for_each(|rows| {
            rows.chunks_exact_mut(dim).for_each(to_length_1);
            let mut white = vec![0.0; rows.len()];
            let sizes = (rows.len() / dim, dim, dim);
            sgemm(sizes, (rows, by_row), (&self.matrix, by_column), 0.0, &mut white);
            white.chunks_exact_mut(dim).for_each(to_length_1);
            rows.copy_from_slice(&white);
        });
    }
}

fn unit_columns(mut x: DMatrix<f64>) -> DMatrix<f64> {
    for mut column in x.column_iter_mut() {
        let length = column.norm();
        if length > 0.0 {
            column /= length;
        }
    }
    x
}

/// A row of zeros is unchanged.
fn to_length_1(row: &mut [f32]) {
    let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}
