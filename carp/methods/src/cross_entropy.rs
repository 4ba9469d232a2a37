//! Cross-entropy with soft targets, and across the views of an image.
//!
//! ```text
//! CE(q, s)           = mean over rows r of -sum_c q[r,c] log softmax(s)[r,c]
//! across views(q, s) = 1 / (2V - 2) sum over targets i in {0, 1} and views v != i of CE(q_i, s_v)
//! ```
//!
//! Targets are constants: whoever makes them from something trained detaches them.

use autograd::{Error, Graph, Result, Value, cross_entropy_index};

/// CE(q, s) of targets and logits `[R,K]`.
///
/// # Errors
/// If the shapes differ.
pub fn soft_cross_entropy(g: &mut Graph, targets: Value, logits: Value) -> Result<Value> {
    let rows = g.shape(logits).rows();
    let log_p = g.log_softmax(logits);
    let terms = g.mul(targets, log_p)?;
    let sum = g.sum(terms);
    Ok(g.scale(sum, -1.0 / rows as f32))
}

/// The mean cross-entropy of every view with the targets of views 0 and 1, but not of its own:
/// targets `[2*B,K]`, logits `[V*B,K]`, both view by view.
///
/// # Errors
/// Fewer than two views, or shapes that do not fit.
pub fn cross_view_entropy(g: &mut Graph, targets: Value, logits: Value) -> Result<Value> {
    let (t, s) = (g.shape(targets), g.shape(logits));
    let batch = t.rows() / 2;
    let views = s.rows().checked_div(batch).unwrap_or(0);
    if views < 2 || t.rows() != 2 * batch || s.rows() != views * batch {
        let detail = format!("targets {t} and logits {s}: should be [2*B,K] and [V*B,K], V >= 2");
        return Err(Error::shape("cross_view_entropy", detail));
    }
    // View 0 has the targets of view 1, view 1 those of view 0, and the others both.
    let first = g.slice_rows(targets, 0, batch)?;
    let second = g.slice_rows(targets, batch, batch)?;
    let both = g.add(first, second)?;
    let mut of_views = vec![both; views];
    (of_views[0], of_views[1]) = (second, first);
    let of_views = g.concat_rows(&of_views)?;
    let mean = soft_cross_entropy(g, of_views, logits)?;
    Ok(g.scale(mean, views as f32 / (2 * views - 2) as f32))
}

/// Mean cross-entropy of logits `[R,C]` whose row r has class r.
///
/// # Errors
/// More rows than classes.
pub fn diagonal_cross_entropy(g: &mut Graph, logits: Value) -> Result<Value> {
    let shape = g.shape(logits);
    let (rows, classes) = (shape.rows(), shape.columns());
    if rows > classes {
        let detail = format!("logits {shape} have no column for each row");
        return Err(Error::shape("diagonal_cross_entropy", detail));
    }
    let index = g.constant_u32("diagonal", cross_entropy_index(classes, 0..rows as u32));
    let each = g.cross_entropy(logits, index)?;
    Ok(g.mean(each))
}
