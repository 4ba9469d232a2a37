//! Devices of ranks as threads, played by the CPU, that exchange numbers themselves.

use std::sync::Arc;

use autograd::threads::Threads;
use autograd::{Lane, Transport};
use tensor::{Backend, Cpu, Device, Io, Kernel, Result, Slot};

/// One that can be linked.
pub struct LinkedCpu(pub Arc<Threads>);

impl Device for LinkedCpu {
    fn workspace(&self, kernel: &Kernel) -> usize {
        Cpu.workspace(kernel)
    }

    fn open(&self, elements: usize) -> Result<Box<dyn Backend>> {
        let (cpu, ranks) = (Cpu.open(elements)?, Arc::clone(&self.0));
        Ok(Box::new(Linked { cpu, ranks, is_linked: false }))
    }
}

struct Linked {
    cpu: Box<dyn Backend>,
    ranks: Arc<Threads>,
    is_linked: bool,
}

impl Backend for Linked {
    tensor::moves_data_by!(cpu);

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        self.cpu.run(kernel, io);
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        self.cpu.all_finite(x)
    }

    fn can_link(&self) -> bool {
        true
    }

    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut id = [rank as u8; 2];
        share(&mut id)?;
        assert_eq!((id, ranks), ([0; 2], self.ranks.size()), "the first rank's");
        self.is_linked = true;
        Ok(())
    }

    fn exchange(&mut self, with: usize, mine: Slot, theirs: Slot) {
        assert!(self.is_linked);
        let (mut sent, mut received) = (vec![0.0; mine.len], vec![0.0; theirs.len]);
        self.cpu.read(mine, &mut sent);
        self.ranks.exchange(Lane::Ops, with, &sent, &mut received).unwrap();
        self.cpu.write(theirs, &received);
    }
}
