//! Sinkhorn-Knopp: soft assignments that use every prototype equally (Cuturi, 2013).
//!
//! ```text
//! Q = exp(scores / epsilon)
//! repeat: every prototype's column of Q sums to 1 / K, then every image's row to 1 / N
//! codes = N Q
//! ```
//!
//! In logarithms to divide a row by its sum is log-softmax. The constants 1/K, 1/N and N cancel in the
//! next division, and so does any common factor of Q, so nothing overflows.

use autograd::{Error, Graph, Result, Value};

/// Every iteration is nodes of the graph.
const MOST_ITERATIONS: usize = 1000;

/// The codes of scores `[N,K]`: rows that sum to 1. No gradient passes through them.
///
/// # Errors
/// No iterations or too many, or scores that are not a matrix.
pub fn sinkhorn(g: &mut Graph, scores: Value, epsilon: f32, iterations: usize) -> Result<Value> {
    if !(1..=MOST_ITERATIONS).contains(&iterations) || epsilon <= 0.0 {
        let detail = format!(
            "{iterations} iterations with epsilon {epsilon}; needs 1 to {MOST_ITERATIONS}, and a number \
             above 0"
        );
        return Err(Error::setting("sinkhorn", detail));
    }
    let scores = g.detach(scores);
    let mut log_q = g.scale(scores, 1.0 / epsilon);
    for _ in 0..iterations {
        let by_prototype = g.transpose(log_q)?;
        let by_prototype = g.log_softmax(by_prototype);
        log_q = g.transpose(by_prototype)?;
        log_q = g.log_softmax(log_q);
    }
    // exp(log Q): the rows of Q already sum to 1.
    Ok(g.softmax(log_q))
}
