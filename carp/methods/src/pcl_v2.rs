//! PCL v2 (Li et al., 2021): momentum contrast of images, and of images with cluster centres.
//!
//! ```text
//! q = l2(query(x1)),  k = l2(key(x2))
//! L = CE(0, [<q,k>, queue] / T)
//!   + mean over the clusterings of  mean_i CE(i, <q_i, c> / phi_c)
//! ```
//!
//! The columns c of a clustering are the positive prototypes of the batch's images, one each, and r
//! sampled prototypes that are nobody's positive. phi_c is the density of a cluster: loose
//! clusters have a higher temperature, which draws them together and keeps one from taking all.

use autograd::{Graph, Result, Value};
use serde::{Deserialize, Serialize};

use crate::cross_entropy::diagonal_cross_entropy;
use crate::info_nce::info_nce;
use crate::unit::unit;

/// Prototypes of one clustering, for one batch; all of it constant.
#[derive(Clone, Copy, Debug)]
pub struct Prototypes {
    /// `[B+r,D]`, of length 1: the positive of row i is column i.
    pub columns: Value,
    /// phi `[B+r]`.
    pub densities: Value,
}

/// The settings, by default the authors'.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PclV2 {
    /// T of InfoNCE.
    pub temperature: f32,
}

impl Default for PclV2 {
    fn default() -> PclV2 {
        PclV2 { temperature: 0.2 }
    }
}

impl PclV2 {
    /// The loss of queries and keys `[B,D]`, the queue `[R,D]` of length 1, and the clusterings,
    /// none before the first one.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn loss(
        &self,
        g: &mut Graph,
        [q, k]: [Value; 2],
        queue: Value,
        clusterings: &[Prototypes],
    ) -> Result<Value> {
        let instances = self.instance_loss(g, [q, k], queue)?;
        let mut losses = Vec::new();
        for &prototypes in clusterings {
            losses.push(prototype_loss(g, q, prototypes)?);
        }
        if losses.is_empty() {
            return Ok(instances);
        }
        let losses = g.concat_rows(&losses)?;
        let prototypes = g.mean(losses);
        g.add(instances, prototypes)
    }

    /// The first term alone: InfoNCE with a queue.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn instance_loss(&self, g: &mut Graph, [q, k]: [Value; 2], queue: Value) -> Result<Value> {
        let [q, k] = [q, k].map(|x| unit(g, x));
        info_nce(g, q, k, queue, self.temperature)
    }
}

/// One clustering's part of the second term, ProtoNCE, of queries `[B,D]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn prototype_loss(g: &mut Graph, q: Value, prototypes: Prototypes) -> Result<Value> {
    let q = unit(g, q);
    let cosines = g.matmul(q, false, prototypes.columns, true)?;
    let (rows, columns) = (g.shape(cosines).rows(), g.shape(cosines).columns());
    let ones = g.fill([1, columns], 1.0);
    let densities = g.reshape(prototypes.densities, [1, columns])?;
    let sharpness = g.divide(ones, densities)?;
    let sharpness = g.concat_rows(&vec![sharpness; rows])?;
    let logits = g.mul(cosines, sharpness)?;
    diagonal_cross_entropy(g, logits)
}

/// phi of each cluster of points `[N,D]` with centroids `[K,D]`, the mean distance d of its n points
/// over ln(n + 10): clusters of one point have the largest; then limited to the 10th to 90th
/// percentile and scaled to mean T.
///
/// # Panics
/// If a label is not below K.
pub fn densities(
    points: &[f32],
    dim: usize,
    labels: &[u32],
    centroids: &[f32],
    temperature: f32,
) -> Vec<f32> {
    let clusters = centroids.len() / dim;
    let (mut sums, mut counts) = (vec![0.0f64; clusters], vec![0usize; clusters]);
    for (point, &label) in points.chunks_exact(dim).zip(labels) {
        let centroid = &centroids[label as usize * dim..][..dim];
        let square = |(x, m): (&f32, &f32)| f64::from(x - m) * f64::from(x - m);
        sums[label as usize] += point.iter().zip(centroid).map(square).sum::<f64>().sqrt();
        counts[label as usize] += 1;
    }
    let phi = |(&sum, &n): (&f64, &usize)| sum / n as f64 / libm::log(n as f64 + 10.0);
    let of_many = |(_, n): &(&f64, &usize)| **n > 1;
    let largest = sums.iter().zip(&counts).filter(of_many).map(phi).fold(0.0, f64::max);
    let all = sums.iter().zip(&counts);
    let mut densities: Vec<f64> =
        all.map(|cluster| if *cluster.1 > 1 { phi(cluster) } else { largest }).collect();
    let mut sorted = densities.clone();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (percentile(&sorted, 0.1), percentile(&sorted, 0.9));
    densities.iter_mut().for_each(|phi| *phi = phi.clamp(low, high));
    let mean = densities.iter().sum::<f64>() / clusters as f64;
    // Where all points lie on their centroids there is no density: the plain temperature.
    let share = |phi: f64| if mean > 0.0 { phi / mean } else { 1.0 };
    densities.iter().map(|&phi| (f64::from(temperature) * share(phi)) as f32).collect()
}

/// As NumPy's: linear between neighbours.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}
