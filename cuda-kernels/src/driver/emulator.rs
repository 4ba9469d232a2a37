//! The emulator as a driver: executes the PTX on the CPU.

use tensor::{Error, Result};

use super::{Driver, Launch};

/// The emulator and its memory.
#[derive(Default)]
pub struct Emulator {}

impl Emulator {
    /// An emulated device without memory yet.
    pub fn new() -> Emulator {
        Emulator::default()
    }
}

impl Driver for Emulator {
    fn name(&self) -> String {
        "PTX emulator".to_owned()
    }

    fn allocate(&mut self, _: usize) -> Result<u64> {
        Err(Error::device("the emulator is not there yet"))
    }

    fn write(&mut self, _: u64, _: &[u8]) -> Result<()> {
        Err(Error::device("the emulator is not there yet"))
    }

    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<()> {
        Err(Error::device("the emulator is not there yet"))
    }

    fn launch(&mut self, _: &Launch) -> Result<()> {
        Err(Error::device("the emulator is not there yet"))
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}
