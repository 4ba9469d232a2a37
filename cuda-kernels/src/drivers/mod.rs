//! The drivers: two ways to a card, and the emulator that needs none.

#[cfg(feature = "cuda")]
pub mod cudarc;
#[cfg(feature = "cust")]
pub mod cust;
pub mod emulator;
pub mod shared_memory;
#[cfg(feature = "cuda")]
mod staging;
