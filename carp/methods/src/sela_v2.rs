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
        let rows = |first: usize, part: &mut [f32]| {
            part.copy_from_slice(&logits[first * clusters..][..part.len()]);
        };
        self.labels_of((logits.len() / clusters, clusters), rows)
    }

    /// As [`SelaV2::labels`], of `[N,K]` logits that `rows` computes: of some images, from the first one
    /// given on. Only P is ever held of all images: see [`SelaV2::bytes`].
    ///
    /// # Errors
    /// As [`SelaV2::labels`].
    pub fn labels_of(
        &self,
        (images, clusters): (usize, usize),
        rows: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Result<(Vec<u32>, usize)> {
        let p = self.sharpened((images, clusters), rows);
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

    /// Bytes that this takes at its peak: P, c before and after, and labels.
    pub fn bytes(images: usize, clusters: usize) -> usize {
        let of_image = size_of::<f64>() * (clusters + 2) + size_of::<u32>();
        images.saturating_mul(of_image)
    }

    /// P.
    fn sharpened(
        &self,
        (images, clusters): (usize, usize),
        rows: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Vec<f64> {
        let mut p = vec![0.0; images * clusters];
        p.par_chunks_mut(ROWS * clusters).enumerate().for_each(|(place, part)| {
            let mut logits = vec![0.0; part.len()];
            rows(place * ROWS, &mut logits);
            part.iter_mut().zip(logits).for_each(|(p, x)| *p = f64::from(x));
            part.chunks_exact_mut(clusters).for_each(|row| self.sharpen(row));
        });
        p
    }

    /// `softmax(row)^lambda`.
    fn sharpen(&self, row: &mut [f64]) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| libm::exp(x - most)).sum();
        let log_sum = most + libm::log(sum);
        row.iter_mut().for_each(|x| *x = libm::exp(self.lambda * (*x - log_sum)));
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
