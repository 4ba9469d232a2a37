//! The processes that share a run, where `mpirun` or the like has started several.

use std::process::ExitCode;
use std::sync::Arc;

use autograd::{AbortOnPanic, Transport};
use carp::error::{Error, Result};
use carp::ranks::is_shared;

use crate::print::complain_of;

/// What launchers tell a process: how many there are, and which one it is.
const LAUNCHERS: [(&str, &str); 3] = [
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), // Open MPI
    ("PMI_SIZE", "PMI_RANK"),                         // MPICH, Intel MPI, Slurm
    ("SLURM_STEP_NUM_TASKS", "PMIX_RANK"),            // Slurm with --mpi=pmix
];

/// Number and rank that a launcher gave this process, if one did.
fn launched() -> Option<(usize, usize)> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    LAUNCHERS.into_iter().find_map(|(size, rank)| Some((number(size)?, number(rank)?)))
}

/// Whether to tell of mistakes that all processes make: only the first one does.
pub fn is_first() -> bool {
    launched().is_none_or(|(_, rank)| rank == 0)
}

/// Refuses work that would only be done several times over.
///
/// # Errors
/// More than one process.
pub fn refuse_several() -> Result<()> {
    match launched() {
        Some((size @ 2.., _)) => Err(Error::usage(format!(
            "started as {size} processes, but only carp train shares its work: start one"
        ))),
        _ => Ok(()),
    }
}

/// Joins the others, if there are any.
///
/// # Errors
/// Others, in a program that was built without them; an MPI that does not suit.
#[cfg(feature = "mpi")]
pub fn join() -> Result<Arc<dyn Transport>> {
    match launched() {
        Some(_) => Ok(Arc::new(autograd::mpi::Mpi::join()?)),
        None => Ok(Arc::new(autograd::Alone)),
    }
}

/// Joins the others, if there are any.
///
/// # Errors
/// Others, in a program that was built without them.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Arc<dyn Transport>> {
    match launched() {
        Some((size @ 2.., _)) => Err(Error::usage(format!(
            "started as {size} processes, but built for one: build it with cargo build --release \
             --features mpi (docs/distributed.md)"
        ))),
        _ => Ok(Arc::new(autograd::Alone)),
    }
}

/// Does a rank's part of a run. An error that only this rank has ends the others, too, as does a panic.
///
/// # Errors
/// Those of `work`, of a process without others; those of others are told here.
pub fn run_as(
    ranks: &Arc<dyn Transport>,
    work: impl FnOnce(&Arc<dyn Transport>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let _guard = AbortOnPanic(&**ranks);
    let (rank, error) = match work(ranks) {
        Err(error) if ranks.size() > 1 => (ranks.rank(), error),
        result => return result,
    };
    match (&error, rank) {
        (Error::OtherRank(_), _) => {}
        (error, 0) => complain_of(error),
        (error, _) if is_shared(error) => {}
        (error, rank) => complain_of(&format!("rank {rank}: {error}")),
    }
    if !is_shared(&error) {
        ranks.abort(error.exit_code());
    }
    Ok(ExitCode::from(error.exit_code()))
}
