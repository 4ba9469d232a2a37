//! The pool of threads that a command runs on.

use carp::error::{Error, Result};

/// Runs `work` on a pool of so many threads (0: one per core). The main thread is not one of them,
/// so that the whole of `work`, not only its parallel parts, runs on the pool.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Error::usage(format!("cannot start {threads} threads: {error}")))?
        .install(work)
}
