//! How processes that share a step exchange numbers.

use tensor::Result;

/// Which thread of a rank exchanges: what one of them sends, the same one of another rank receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The one that runs the ops.
    Ops,
    /// The one beside it, for sums that need not be there at once: [`crate::buckets`].
    Buckets,
}

/// One of several processes, the ranks, that run the same list in step. All of them call these methods
/// in the same order, that of [`Transport::exchange`] per lane; each with the lengths that the others
/// expect.
pub trait Transport: Send + Sync {
    /// Its number, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Its number among those on the same machine, from 0.
    fn local_rank(&self) -> usize;

    /// Whether two threads may exchange at the same time.
    fn has_two_lanes(&self) -> bool;

    /// Sends `mine` to the rank `with`, and fills `theirs` with what that one sends.
    ///
    /// # Errors
    /// A rank that is gone.
    fn exchange(&self, lane: Lane, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()>;

    /// Fills `all` with every rank's `mine`, one behind the other in the order of the ranks.
    ///
    /// # Errors
    /// A rank that is gone.
    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()>;

    /// Fills everyone's `bytes` with those of the rank `from`.
    ///
    /// # Errors
    /// A rank that is gone.
    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()>;

    /// Ends the other ranks at once, which may be waiting for this one; a process ends with them.
    fn abort(&self, exit_code: u8);

    /// Everyone's number, in the order of the ranks.
    ///
    /// # Errors
    /// A rank that is gone.
    fn gather(&self, mine: f32) -> Result<Vec<f32>> {
        let mut all = vec![0.0; self.size()];
        self.all_gather(&[mine], &mut all)?;
        Ok(all)
    }

    /// The first rank of those that say yes.
    ///
    /// # Errors
    /// A rank that is gone.
    fn first(&self, yes: bool) -> Result<Option<usize>> {
        if self.size() == 1 {
            return Ok(yes.then_some(0));
        }
        Ok(self.gather(f32::from(yes))?.iter().position(|&yes| yes == 1.0))
    }
}

/// Ends the other ranks if it is dropped in a panic: they would wait for this one.
pub struct AbortOnPanic<'a>(pub &'a dyn Transport);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a Rust program returns after a panic.
            self.0.abort(101);
        }
    }
}

/// A process that holds all shards itself.
pub struct Alone;

impl Transport for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn has_two_lanes(&self) -> bool {
        false
    }

    fn exchange(&self, _: Lane, _with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        theirs.copy_from_slice(mine);
        Ok(())
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        all.copy_from_slice(mine);
        Ok(())
    }

    fn broadcast(&self, _from: usize, _bytes: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn abort(&self, _exit_code: u8) {}
}
