//! The device that the tests run on: the emulator with its sanitizer, or the card that the
//! environment variable CARP_TEST_DEVICE names (`cuda:0`; needs `--features cuda`).

// Each test file uses a part of this.
#![allow(dead_code)]

use cuda_kernels::Driver;
use cuda_kernels::device::OnDriver;
use cuda_kernels::drivers::emulator::Emulator;
use tensor::Device;

/// Its driver.
///
/// # Panics
/// If the named card is not there: a test that was asked to run on one must not pass without.
pub fn driver() -> Box<dyn Driver> {
    card().unwrap_or_else(|| Box::new(Emulator::checked()))
}

/// As `driver`, but the emulator looks for no races: for what is large, or was checked before.
///
/// # Panics
/// As `driver`.
pub fn fast_driver() -> Box<dyn Driver> {
    card().unwrap_or_else(|| Box::new(Emulator::new()))
}

/// The card, if one is named.
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

/// It as executors and learners want it.
pub fn device() -> impl Device {
    OnDriver(|| Ok(driver()))
}

/// The same over `fast_driver`.
pub fn fast_device() -> impl Device {
    OnDriver(|| Ok(fast_driver()))
}
