//! InfoNCE: which key belongs to a query? (van den Oord et al., 2018)
//!
//! ```text
//! in the batch:   mean_i CE(i, q_i K' / T)                  the negatives are the other images' keys
//! with a queue:   mean_i CE(0, [<q_i, k_i>, q_i queue'] / T)    the negatives are older keys
//! ```
//!
//! With p the positive logit and n the logarithm of the sum of the negatives' exponentials, the
//! second is CE(0, [p, n]): the logits of the queue are never copied next to the positives.

use autograd::{Error, Graph, Result, Value, cross_entropy_index};

use crate::cross_entropy::diagonal_cross_entropy;
use crate::unit::row_products;

/// InfoNCE of queries and keys `[B,D]` of length 1, against the batch.
///
/// # Errors
/// Shapes that do not fit.
pub fn info_nce_in_batch(g: &mut Graph, q: Value, keys: Value, temperature: f32) -> Result<Value> {
    let (queries_shape, keys_shape) = (g.shape(q), g.shape(keys));
    if queries_shape != keys_shape {
        let detail = format!("queries {queries_shape} and keys {keys_shape}: should be alike");
        return Err(Error::shape("info_nce", detail));
    }
    let cosines = g.matmul(q, false, keys, true)?;
    let logits = g.scale(cosines, 1.0 / temperature);
    diagonal_cross_entropy(g, logits)
}

/// InfoNCE of queries and keys `[B,D]` and a queue `[R,D]`, all of length 1.
///
/// # Errors
/// Shapes that do not fit.
pub fn info_nce(
    g: &mut Graph,
    q: Value,
    k: Value,
    queue: Value,
    temperature: f32,
) -> Result<Value> {
    let batch = g.shape(q).rows();
    let positive = row_products(g, q, k)?;
    let positive = g.scale(positive, 1.0 / temperature);
    let negatives = g.matmul(q, false, queue, true)?;
    let negatives = g.scale(negatives, 1.0 / temperature);
    let negative = g.log_sum_exp(negatives)?;
    let [positive, negative] = [g.reshape(positive, [1, batch])?, g.reshape(negative, [1, batch])?];
    let both = g.concat_rows(&[positive, negative])?;
    let both = g.transpose(both)?;
    let first = g.constant_u32("positive", cross_entropy_index(2, vec![0; batch]));
    let each = g.cross_entropy(both, first)?;
    Ok(g.mean(each))
}
