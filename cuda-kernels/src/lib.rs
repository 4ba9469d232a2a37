//! The [`Backend`](tensor::Backend) for NVIDIA GPUs, and its emulation.
//!
//! In reading order: `kernels/*.cu` hold the kernels, one file per family, each next to its PTX;
//! [`modules`] embeds that PTX. [`Gpu`] is the backend: an arena, and in [`launch`] how each
//! [`Kernel`](tensor::Kernel) is launched. A [`Driver`] executes launches: on a GPU, or in the
//! emulator, which runs the PTX on the CPU. [`device`] opens backends.

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
