//! The random partition: many small questions instead of one large
//!
//!     block k holds the prototypes order[k N], ..., order[k N + N - 1]
//!     p[k,c] = softmax over c of logits[order[k N + c]]
//!
//! CARP compares an image's embedding with K prototypes, which gives K logits. Each step shuffles
//! the prototypes and cuts them into blocks of N; the softmax is taken *inside each block*. So the
//! image answers K/N small questions, "which of these N is it most like?", and other ones in every
//! step. The smaller the blocks, the better can a batch be certain and balanced at the same time
//! (docs/method.md, 1.4).
//!
//! What is left over when N does not divide K sits out this step.

/// The softmax of a row.
fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|exp| exp / sum).collect()
}

/// The probabilities of all whole blocks of `size` prototypes, one block after the other.
pub fn partition(logits: &[f64], order: &[usize], size: usize) -> Vec<f64> {
    // YOUR CODE BEGINS
    todo!("for each block: gather its logits, then their softmax")
    // YOUR CODE ENDS
}
