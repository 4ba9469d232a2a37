//! What ranks agree on beside the step: errors, texts, the state to go on from.

use std::io;

use autograd::Transport;
use bytemuck::cast_slice_mut;

use crate::checkpoint::{Checkpoint, Progress};
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::tensor_source::TensorSource;

/// The result of every rank's own part: where one fails, none goes on.
///
/// # Errors
/// On the first rank that fails its error; on all others [`Error::OtherRank`].
pub fn agree<T>(ranks: &dyn Transport, mine: Result<T>) -> Result<T> {
    match ranks.first(mine.is_err())? {
        Some(rank) if rank != ranks.rank() => Err(Error::OtherRank(rank)),
        _ => mine,
    }
}

/// Whether all ranks end with this error, or one of them tells of it: then none needs to end the others.
pub fn is_shared(error: &Error) -> bool {
    use Error::{NonFinite, NonFiniteWeight, OtherRank};
    matches!(error, OtherRank(_) | NonFinite { .. } | NonFiniteWeight { .. })
}

/// The first rank's text; what the others give does not matter.
///
/// # Errors
/// A rank that is gone.
pub fn share_text(ranks: &dyn Transport, text: String) -> Result<String> {
    let mut length = (text.len() as u64).to_le_bytes();
    ranks.broadcast(0, &mut length)?;
    let mut bytes = text.into_bytes();
    bytes.resize(u64::from_le_bytes(length) as usize, 0);
    ranks.broadcast(0, &mut bytes)?;
    Ok(String::from_utf8(bytes).expect("the first rank's text"))
}

/// Sets every rank's learner to the first rank's checkpoint, if it has one; returns the progress.
///
/// # Errors
/// A checkpoint of other tensors. I/O errors.
pub fn restore(learner: &mut Learner, checkpoint: Option<Checkpoint>) -> Result<Progress> {
    let ranks = learner.executor().transport().clone();
    let mut progress = Progress::default();
    if let Some(mut checkpoint) = checkpoint {
        progress = checkpoint.progress()?;
        checkpoint.restore(learner)?;
    }
    let mut step = (progress.step as u64).to_le_bytes();
    ranks.broadcast(0, &mut step)?;
    progress.step = u64::from_le_bytes(step) as usize;
    if progress.step > 0 && ranks.size() > 1 {
        share_state(learner, &*ranks)?;
    }
    Ok(progress)
}

/// Sets every rank's learner to the state of the first one's.
fn share_state(learner: &mut Learner, ranks: &dyn Transport) -> Result<()> {
    for index in 0..learner.tensors().len() {
        let mut parts = Vec::new();
        let keep = &mut |part: &[f32]| -> io::Result<()> {
            parts.push(part.to_vec());
            Ok(())
        };
        learner.read(index, keep).expect("reading memory");
        let mut start = 0;
        for mut part in parts {
            ranks.broadcast(0, cast_slice_mut(&mut part))?;
            learner.write_rows(index, start, &part);
            start += part.len();
        }
    }
    Ok(())
}
