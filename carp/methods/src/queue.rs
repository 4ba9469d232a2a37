//! A queue of rows from earlier batches, first in, first out.

use autograd::{Error, Graph, Result, Value};

/// Puts `rows` `[B,D]` at the head of `queue` `[R,D]`, a state, whose last B rows drop out.
///
/// # Errors
/// More rows than the queue holds, or rows of another length.
pub fn push(g: &mut Graph, queue: Value, rows: Value) -> Result<()> {
    let (length, new) = (g.shape(queue).rows(), g.shape(rows).rows());
    if new > length {
        let detail = format!("a queue of {length} rows is shorter than a batch of {new}");
        return Err(Error::setting("queue", detail));
    }
    let kept = g.slice_rows(queue, 0, length - new)?;
    let shifted = g.concat_rows(&[rows, kept])?;
    g.assign(shifted, queue)
}
