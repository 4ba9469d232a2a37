//! The test device: the emulator with its sanitizer, or the GPU named by the environment variable
//! CARP_TEST_DEVICE (`cuda:0`; needs `--features cuda`).

// Each test file uses part of this.
#![allow(dead_code)]

use cuda_kernels::Driver;
use cuda_kernels::device::OnDriver;
use cuda_kernels::drivers::emulator::Emulator;
use tensor::{Device, Numerics};

/// Its driver.
///
/// # Panics
/// If the named GPU is missing: a test meant for a GPU must not pass without one.
pub fn driver() -> Box<dyn Driver> {
    card().unwrap_or_else(|| Box::new(Emulator::checked()))
}

/// As `driver`, but the emulator does not check for races: for large cases, or those checked
/// before.
///
/// # Panics
/// As `driver`.
pub fn fast_driver() -> Box<dyn Driver> {
    card().unwrap_or_else(|| Box::new(Emulator::new()))
}

/// The GPU, if one is named.
fn card() -> Option<Box<dyn Driver>> {
    match std::env::var("CARP_TEST_DEVICE") {
        Ok(name) => {
            let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
            let number = number.expect("CARP_TEST_DEVICE should be cuda:0, cuda:1, ...");
            Some(cuda_kernels::device::driver(number).unwrap_or_else(|error| panic!("{error}")))
        }
        Err(_) => None,
    }
}

/// The device for executors and learners.
pub fn device() -> impl Device {
    OnDriver(|| Ok(driver()), Numerics::Exact)
}

/// The same over `fast_driver`.
pub fn fast_device() -> impl Device {
    OnDriver(|| Ok(fast_driver()), Numerics::Exact)
}
