//! The thread pool that a command runs on.

use carp::error::{Error, Result};

use crate::limits::{THREADS, within};

/// Runs `work` on a pool of `threads` threads (0: one per core). The main thread is not one of
/// them: all of `work` runs on the pool, not only its parallel parts.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    within("--threads", threads, 0..=THREADS)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::usage(format!("cannot start {threads} threads: {error}")))?
        .install(work)
}
