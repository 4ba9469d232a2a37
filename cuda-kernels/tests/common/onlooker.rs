//! A card that runs nothing.

use cuda_kernels::driver::{Driver, Launch};
use tensor::Result;

/// It shows what it is asked to launch to a function, reads zeros, and has as much memory as one wants.
pub struct Onlooker<F>(pub F);

impl<F: FnMut(&Launch) -> Result<()> + Send> Driver for Onlooker<F> {
    fn name(&self) -> String {
        "a card that only looks".to_owned()
    }

    fn allocate(&mut self, _: usize) -> Result<u64> {
        Ok(256)
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, _: u64, data: &mut [u8]) -> Result<()> {
        data.fill(0);
        Ok(())
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.0(launch)
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}
