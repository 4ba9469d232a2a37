//! Finding the op that made the first number that is not finite.

use datasets::Progress;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::kept_checkpoints::checkpoint_of;
use crate::run_folder::RunFolder;
use crate::trainer::Trainer;

/// Repeats the steps since the last checkpoint, each with a copy of what it starts from, until one
/// leaves a weight that is not finite; then repeats that one op by op. Returns the error that names
/// the op; `None` if all stays finite or `stop` is true.
///
/// # Errors
/// A number in a step that is not finite. A checkpoint or data that cannot be read.
pub fn find_op(
    trainer: &mut Trainer,
    folder: &RunFolder,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Error>> {
    let file = checkpoint_of(folder.path());
    let mut first = 0;
    if file.exists() {
        let mut checkpoint = Checkpoint::load(&file)?;
        first = checkpoint.progress()?.step;
        checkpoint.restore(trainer.learner())?;
    } else {
        trainer.initialize();
    }
    let mut pipeline = trainer.pipeline(first)?;
    let mut before = Vec::new();
    for step in first..trainer.steps() {
        if stop() {
            break;
        }
        trainer.start_epoch(step, Progress::none())?;
        trainer.learner().copy_state(&mut before);
        let batch = pipeline.next_batch()?;
        trainer.step(step, batch)?;
        if !trainer.learner().is_finite() {
            trainer.learner().set_state(&before);
            let phases = trainer.prepare(step, batch);
            return trainer.learner().non_finite("a weight is", step, phases).map(Some);
        }
    }
    Ok(None)
}
