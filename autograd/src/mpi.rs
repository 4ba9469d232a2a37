//! Ranks as processes of MPI. Its errors end all processes, so none is returned.

use mpi::environment::Universe;
use mpi::point_to_point::send_receive_into;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use mpi::{Threading, initialize_with_threading};
use tensor::{Error, Result};

use crate::transport::Transport;

/// A process that `mpirun` has started. Dropping it waits for the others to do the same; in a panic,
/// which they do not know of, it ends them.
pub struct Mpi {
    local_rank: usize,
    _universe: Universe,
}

impl Mpi {
    /// Joins the other processes, once.
    ///
    /// # Errors
    /// A library for single threads: the step runs on a pool's thread. A second call.
    pub fn join() -> Result<Mpi> {
        match initialize_with_threading(Threading::Serialized) {
            Some((_universe, Threading::Serialized | Threading::Multiple)) => {
                let local_rank = world().split_shared(0).rank() as usize;
                Ok(Mpi { local_rank, _universe })
            }
            Some(_) => Err(Error::device("this MPI takes calls from one thread only")),
            None => Err(Error::device("MPI is in use already")),
        }
    }
}

fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        world().rank() as usize
    }

    fn size(&self) -> usize {
        world().size() as usize
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn exchange(&self, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        let world = world();
        let with = world.process_at_rank(with as i32);
        send_receive_into(mine, &with, theirs, &with);
        Ok(())
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        assert_eq!(all.len(), self.size() * mine.len(), "numbers of all ranks");
        world().all_gather_into(mine, all);
        Ok(())
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        world().process_at_rank(from as i32).broadcast_into(bytes);
        Ok(())
    }

    fn abort(&self, exit_code: u8) -> ! {
        world().abort(exit_code.into())
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a Rust program returns after a panic.
            self.abort(101);
        }
    }
}
