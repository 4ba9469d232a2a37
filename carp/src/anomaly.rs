//! Finding the op that made the first number that is not finite.

use datasets::Progress;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::kept_checkpoints::checkpoint_of;
use crate::ranks::restore;
use crate::run_folder::RunFolder;
use crate::trainer::Trainer;

/// Repeats the steps since the last checkpoint, each with a copy of what it starts from, until one
/// leaves a weight that is not finite; then repeats that one op by op. Returns the error that names
/// the op; `None` if all stays finite or `stop` is true. Of ranks, the first has the folder.
///
/// # Errors
/// A number in a step that is not finite. A checkpoint or data that cannot be read.
pub fn find_op(
    trainer: &mut Trainer,
    folder: Option<&RunFolder>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Error>> {
    trainer.initialize();
    let file = folder.map(|folder| checkpoint_of(folder.path())).filter(|file| file.exists());
    let checkpoint = file.map(|file| Checkpoint::load(&file)).transpose()?;
    let first = restore(trainer.learner(), checkpoint)?.step;
    let ranks = trainer.transport();
    let mut pipeline = trainer.pipeline(first)?;
    let mut before = Vec::new();
    for step in first..trainer.steps() {
        if ranks.first(stop())?.is_some() {
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
