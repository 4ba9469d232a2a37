//! The drivers: two bindings to a GPU, and the emulator, which needs none.

pub mod counter;
#[cfg(feature = "cuda")]
pub mod cudarc;
#[cfg(feature = "cust")]
pub mod cust;
pub mod emulator;
pub mod shared_memory;
#[cfg(feature = "cuda")]
mod staging;
