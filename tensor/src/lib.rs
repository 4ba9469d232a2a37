//! Numbers in memory and the kernels that work on them.
//!
//! In reading order: a [`Shape`] says how many numbers; a [`Slot`] says where they lie in a
//! device's one [`Arena`]; a [`Kernel`] is one computation as data, gradients' computations among
//! them, and [`reference`](mod@reference) has the formula of each; a [`Device`] opens a [`Backend`],
//! which runs kernels on slots; [`Cpu`] is the device of this machine. [`math`] holds the project's
//! own `exp`, `log`, `erf`, and [`random`] the random streams, so that the same bits come out on every
//! machine. There is no differentiation and there are no layers here.

pub mod arena;
pub mod backend;
pub mod cpu;
pub mod error;
pub mod geometry;
pub mod kernel;
pub mod math;
pub mod packing_pool;
pub mod random;
pub mod reference;
pub mod shape;

pub use arena::{Arena, Slot};
pub use backend::{Backend, Device};
pub use cpu::Cpu;
pub use error::{Error, Result};
pub use kernel::{Io, Kernel};
pub use shape::Shape;
