//! Ranks as processes of MPI. Its errors end all processes, so none is returned.

use mpi::environment::Universe;
use mpi::point_to_point::send_receive_into_with_tags;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use mpi::{Threading, initialize_with_threading};
use tensor::{Error, Result};

use crate::transport::{Lane, Transport};

/// A process that `mpirun` has started. Dropping it waits for the others to do the same.
pub struct Mpi {
    has_two_lanes: bool,
    local_rank: usize,
    _universe: Universe,
}

impl Mpi {
    /// Joins the other processes, once.
    ///
    /// # Errors
    /// A library for single threads: the step runs on a pool's thread. A second call.
    pub fn join() -> Result<Mpi> {
        let Some((_universe, threading)) = initialize_with_threading(Threading::Multiple) else {
            return Err(Error::device("MPI is in use already"));
        };
        if threading < Threading::Serialized {
            return Err(Error::device("this MPI takes calls from one thread only"));
        }
        let local_rank = world().split_shared(0).rank() as usize;
        let has_two_lanes = threading == Threading::Multiple;
        Ok(Mpi { has_two_lanes, local_rank, _universe })
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

    fn has_two_lanes(&self) -> bool {
        self.has_two_lanes
    }

    fn exchange(&self, lane: Lane, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        let (world, tag) = (world(), lane as i32);
        let with = world.process_at_rank(with as i32);
        send_receive_into_with_tags(mine, &with, tag, theirs, &with, tag);
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

    fn abort(&self, exit_code: u8) {
        world().abort(exit_code.into());
    }
}
