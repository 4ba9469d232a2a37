//! The streaming loss: one block after the other, and the logits of all K never exist
//!
//!     for each block:   s = z w^T,  t = zt wt^T           w `[N,D]`: the block's prototypes
//!                       loss, ds  by the last exercises
//!                       dz += ds w,  dw = ds^T z          each divided by the number of blocks
//!
//! Embeddings z `[V*B,D]` of the student and zt `[2*B,D]` of the teacher meet the prototypes
//! `[K,D]`. With K = 65,536 and a few hundred rows the logits alone would take 100 MB, and so would
//! their gradient. But softmax, C and H live inside one block, and the loss is the mean over blocks.
//! So a block can be finished alone, from its logits to its share of the gradients, and the next one
//! reuses its memory. Only dz is shared: every block adds to it.
//!
//! The result is exact, not an approximation. It is tensor/src/cpu/streaming_loss.rs.

const EPS: f64 = f32::EPSILON as f64;

/// V views of B images, embeddings of D numbers, blocks of N prototypes.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub views: usize,
    pub batch: usize,
    pub dim: usize,
    pub size: usize,
}

/// C + H of a block and its gradient with respect to s `[V*B,N]`, the student's logits; t `[2*B,N]`.
fn block_loss(sizes: Sizes, s: &[f64], t: &[f64]) -> (f64, Vec<f64>) {
    let Sizes { views, batch, size, .. } = sizes;
    let [p, q] = [s, t].map(|x| x.chunks(size).flat_map(softmax).collect::<Vec<f64>>());
    let (rows, terms) = ((p.len() + q.len()) / size, (2 * views - 2) * batch);
    let mut mean = vec![0.0; size];
    for (at, p) in p.iter().chain(&q).enumerate() {
        mean[at % size] += p / rows as f64;
    }
    let inside = |x: f64| (EPS..=1.0 - EPS).contains(&x);
    let log = |x: f64| x.clamp(EPS, 1.0 - EPS).ln();
    let mut loss = (size as f64).ln() + mean.iter().map(|&m| m * log(m)).sum::<f64>();
    let mut ds = Vec::new();
    for (row, p) in p.chunks(size).enumerate() {
        let mut dp: Vec<f64> = mean
            .iter()
            .map(|&m| (log(m) + if inside(m) { 1.0 } else { 0.0 }) / rows as f64)
            .collect();
        for j in (0..2).filter(|&j| j != row / batch) {
            let q = &q[(j * batch + row % batch) * size..][..size];
            let d = dot(p, q);
            loss -= log(d) / terms as f64;
            if inside(d) {
                dp.iter_mut().zip(q).for_each(|(dp, q)| *dp -= q / (d * terms as f64));
            }
        }
        let mean_dp = dot(p, &dp);
        ds.extend(p.iter().zip(&dp).map(|(p, dp)| p * (dp - mean_dp)));
    }
    (loss, ds)
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max).exp() / sum).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a b^T of a `[m,k]` and b `[n,k]`.
fn product(k: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    a.chunks(k).flat_map(|a| b.chunks(k).map(move |b| dot(a, b))).collect()
}

/// A matrix with that many columns, transposed.
fn transposed(columns: usize, x: &[f64]) -> Vec<f64> {
    (0..columns).flat_map(|c| x.iter().skip(c).step_by(columns).copied()).collect()
}

/// The loss, dz `[V*B,D]` and dw `[K,D]`, given prototypes w and wt `[K,D]` and their order.
pub fn streaming_loss(
    sizes: Sizes,
    [z, zt]: [&[f64]; 2],
    [w, wt]: [&[f64]; 2],
    order: &[usize],
) -> (f64, Vec<f64>, Vec<f64>) {
    let Sizes { dim, size, .. } = sizes;
    let (mut loss, mut dz, mut dw) = (0.0, vec![0.0; z.len()], vec![0.0; w.len()]);
    let blocks = (order.len() / size) as f64;
    for block in order.chunks_exact(size) {
        let gather = |w: &[f64]| -> Vec<f64> {
            block.iter().flat_map(|c| &w[c * dim..][..dim]).copied().collect()
        };
        let (w, wt) = (gather(w), gather(wt));
        // YOUR CODE BEGINS
        todo!("logits, the block's loss, and its parts of loss, dz and dw");
        // YOUR CODE ENDS
    }
    (loss, dz, dw)
}
