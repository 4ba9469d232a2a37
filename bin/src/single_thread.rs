//! The plainest execution there is, to compare others with.

use isa::Isa;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tensor::{Backend, Cpu, Device, Error, Io, Kernel, Result, Slot};

/// The CPU with one thread, and AVX2 where it has that: narrower instructions lack fused
/// multiply-adds and take a hundred times as long.
pub struct SingleThread;

struct OnOneThread {
    cpu: Box<dyn Backend>,
    pool: ThreadPool,
}

impl Device for SingleThread {
    fn workspace(&self, kernel: &Kernel) -> usize {
        Cpu.workspace(kernel)
    }

    fn open(&self, elements: usize) -> Result<Box<dyn Backend>> {
        let pool = ThreadPoolBuilder::new().num_threads(1).build();
        let pool =
            pool.map_err(|error| Error::device(format!("cannot start a thread: {error}")))?;
        let isa = if Isa::Avx2.is_available() { Isa::Avx2 } else { Isa::Portable };
        Ok(Box::new(OnOneThread { cpu: Cpu.open_with(isa, elements)?, pool }))
    }
}

impl Backend for OnOneThread {
    tensor::moves_data_by!(cpu);

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        let OnOneThread { cpu, pool } = self;
        pool.install(|| cpu.run(kernel, io));
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        let OnOneThread { cpu, pool } = self;
        pool.install(|| cpu.all_finite(x))
    }
}
