//! The [`Backend`](tensor::Backend) of NVIDIA GPUs, and the same without one.
//!
//! In reading order: `kernels/*.cu` hold the kernels, one file per family, and beside each the PTX
//! made from it; [`modules`] embeds that PTX. [`Gpu`] is the backend: an arena, and in [`launch`] how
//! each [`Kernel`](tensor::Kernel) is launched. A [`Driver`] is what it is launched through: a card, or
//! the emulator that executes the PTX on the CPU. [`device`] opens backends.

pub mod backend;
pub mod device;
pub mod driver;
pub mod drivers;
pub mod gpu;
pub mod launch;
pub mod modules;
pub mod tour;

pub use driver::Driver;
pub use gpu::Gpu;
