//! SeLa v2 (Asano et al., 2020; Caron et al., 2020): DeepCluster v2 with labels that fill every
//! cluster equally, from Sinkhorn-Knopp over the whole data set.
//!
//! ```text
//! P = softmax(logits)^lambda                     [N,K]
//! c = 1/N; repeat  r = (1/K) / (P'c),  c = (1/N) / (P r)
//!          until   sum_n |c_before / c - 1| <= tolerance, seen every tenth time from the first on
//! label_n = argmax_k r_k P_nk c_n
//! ```
//!
//! The loss is that of [`DeepClusterV2`](crate::DeepClusterV2). Equal clusters forbid collapse.

use autograd::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Images per task: sums are in a fixed order.
const ROWS: usize = 256;
/// Iterations from one test to the next.
const BETWEEN_TESTS: usize = 10;
/// Iterations without convergence.
const LIMIT: usize = 10_000;

/// The settings, by default the authors' of the first version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelaV2 {
    /// Sharpness of the labels.
    pub lambda: f64,
    /// When to stop.
    pub tolerance: f64,
}

impl Default for SelaV2 {
    fn default() -> SelaV2 {
        SelaV2 { lambda: 25.0, tolerance: 0.1 }
    }
}

impl SelaV2 {
    /// The labels of all images from their logits `[N,K]`, row by row, and the iterations it took.
    ///
    /// # Errors
    /// Logits that leave a cluster without any image, or that do not converge.
    ///
    /// # Panics
    /// If `clusters` is 0 or does not divide the number of logits.
    pub fn labels(&self, logits: &[f32], clusters: usize) -> Result<(Vec<u32>, usize)> {
        assert!(clusters > 0 && logits.len().is_multiple_of(clusters), "logits are [N,K]");
        let images = logits.len() / clusters;
        let p = self.sharpened(logits, clusters);
        let mut c = vec![1.0 / images as f64; images];
        for iteration in 0..LIMIT {
            let mut r = column_sums(&p, &c, clusters);
            r.iter_mut().for_each(|r| *r = 1.0 / clusters as f64 / *r);
            let before = c;
            c = p
                .par_chunks(clusters)
                .map(|p| 1.0 / images as f64 / p.iter().zip(&r).map(|(p, r)| p * r).sum::<f64>())
                .collect();
            if !iteration.is_multiple_of(BETWEEN_TESTS) {
                continue;
            }
            let error: f64 = before.iter().zip(&c).map(|(b, c)| (b / c - 1.0).abs()).sum();
            if error.is_nan() {
                let detail = format!("a cluster of {clusters} has no image: lower lambda");
                return Err(Error::setting("sela_labels", detail));
            }
            if error <= self.tolerance {
                return Ok((largest(&p, &r, clusters), iteration + 1));
            }
        }
        let detail = format!("no balance after {LIMIT} iterations: raise the tolerance");
        Err(Error::setting("sela_labels", detail))
    }

    /// P.
    fn sharpened(&self, logits: &[f32], clusters: usize) -> Vec<f64> {
        let mut p: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        p.par_chunks_mut(clusters).for_each(|row| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| libm::exp(x - most)).sum();
            let log_sum = most + libm::log(sum);
            row.iter_mut().for_each(|x| *x = libm::exp(self.lambda * (*x - log_sum)));
        });
        p
    }
}

/// `P'c`: `[K]`.
fn column_sums(p: &[f64], c: &[f64], clusters: usize) -> Vec<f64> {
    let part = |(p, c): (&[f64], &[f64])| {
        let mut sums = vec![0.0; clusters];
        for (row, c) in p.chunks_exact(clusters).zip(c) {
            sums.iter_mut().zip(row).for_each(|(sum, p)| *sum += p * c);
        }
        sums
    };
    let parts: Vec<Vec<f64>> =
        p.par_chunks(ROWS * clusters).zip(c.par_chunks(ROWS)).map(part).collect();
    let mut sums = vec![0.0; clusters];
    for part in &parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// The first k with the largest `r_k P_nk` for each image n; c_n does not matter.
fn largest(p: &[f64], r: &[f64], clusters: usize) -> Vec<u32> {
    let label = |row: &[f64]| {
        let mass = |k: usize| r[k] * row[k];
        (1..clusters).fold(0, |best, k| if mass(k) > mass(best) { k } else { best }) as u32
    };
    p.par_chunks(clusters).map(label).collect()
}
