//! Initial centroids of k-means.

use isa::{Isa, multiversion};
use rayon::prelude::*;
use tensor::cpu::reduce::dot;
use tensor::random::Stream;

use super::options::{KmeansOptions, Start};

/// Points per task.
const ROWS: usize = 1024;

/// `[K,D]`.
pub(super) fn first_centroids(
    points: &[f32],
    dim: usize,
    options: &KmeansOptions,
    stream: &mut Stream,
) -> Vec<f32> {
    let n = points.len() / dim;
    let chosen = match options.start {
        Start::Random => {
            let mut all: Vec<u32> = (0..n as u32).collect();
            stream.shuffle(&mut all);
            all.truncate(options.clusters);
            all
        }
        Start::PlusPlus => plus_plus(points, dim, options, stream),
    };
    centroids_at(points, dim, options.spherical, &chosen)
}

/// The `chosen` points, `[K,D]`, of length 1 if `spherical`.
pub(super) fn centroids_at(
    points: &[f32],
    dim: usize,
    spherical: bool,
    chosen: &[u32],
) -> Vec<f32> {
    let point = |&i: &u32| &points[i as usize * dim..][..dim];
    let mut centroids: Vec<f32> = chosen.iter().flat_map(point).copied().collect();
    if spherical {
        centroids.chunks_exact_mut(dim).for_each(scale_to_length_1);
    }
    centroids
}

/// Scales a row to length 1; a row of zeros is unchanged.
pub fn scale_to_length_1(row: &mut [f32]) {
    let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

/// Each further point is drawn with probability proportional to its squared distance from the
/// nearest chosen one; for spherical k-means, with points scaled to length 1 (`2 - 2 cos`). Of 2 +
/// ln K draws the one with the smallest remaining sum of distances is taken.
#[multiversion(Isa::preferred())]
fn plus_plus(points: &[f32], dim: usize, options: &KmeansOptions, stream: &mut Stream) -> Vec<u32> {
    let n = points.len() / dim;
    let draws = 2 + (options.clusters as f64).ln() as usize;
    let squares: Vec<f32> = points.par_chunks(dim).map(|x| dot(x, x)).collect();
    let from = |chosen: u32, nearest: &[f32]| -> Vec<f32> {
        let chosen = chosen as usize;
        let (c, c2) = (&points[chosen * dim..][..dim], squares[chosen]);
        let distance = |((x, &x2), &nearest): ((&[f32], &f32), &f32)| {
            let product = dot(x, c);
            let distance = if !options.spherical {
                x2 + c2 - 2.0 * product
            } else if x2 * c2 > 0.0 {
                2.0 - 2.0 * product / (x2.sqrt() * c2.sqrt())
            } else {
                2.0
            };
            distance.max(0.0).min(nearest)
        };
        points.par_chunks(dim).zip(&squares).zip(nearest).map(distance).collect()
    };
    let mut chosen = vec![stream.below(n as u32)];
    let mut nearest = from(chosen[0], &vec![f32::INFINITY; n]);
    while chosen.len() < options.clusters {
        let total = sum(&nearest);
        let mut best: Option<(f64, u32, Vec<f32>)> = None;
        for _ in 0..draws {
            // All 53 bits: a 24-bit uniform would miss points among millions.
            let high = f64::from(stream.next_u32()) + f64::from(stream.next_u32()) / 2f64.powi(32);
            let candidate = place(&nearest, high / 2f64.powi(32) * total);
            let left = from(candidate, &nearest);
            let sum = sum(&left);
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, candidate, left));
            }
        }
        let (_, candidate, left) = best.expect("at least two draws");
        chosen.push(candidate);
        nearest = left;
    }
    chosen
}

/// In parts of a fixed size, added in order.
fn sum(x: &[f32]) -> f64 {
    let part = |x: &[f32]| x.iter().map(|&x| f64::from(x)).sum::<f64>();
    let parts: Vec<f64> = x.par_chunks(ROWS).map(part).collect();
    parts.iter().sum()
}

/// The first point at which the cumulative weight exceeds `target`.
fn place(weights: &[f32], target: f64) -> u32 {
    let mut sum = 0.0;
    let mut last = 0;
    for (i, &weight) in (0..).zip(weights) {
        sum += f64::from(weight);
        if weight > 0.0 {
            last = i;
            if sum > target {
                break;
            }
        }
    }
    last
}
