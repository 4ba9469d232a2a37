//! Tensors in memory and the kernels that work on them.
//!
//! In reading order: a [`Shape`] holds a tensor's sizes; a [`Slot`] is its place in a device's one
//! [`Arena`]; a [`Kernel`] is one computation as data, forward or backward, and
//! [`reference`](mod@reference) has the formula of each; a [`Device`] opens a [`Backend`], which
//! runs kernels on slots; [`Cpu`] is this machine's device. [`math`] has the project's own `exp`,
//! `ln`, `erf`, `sin` and `cos`, and [`random`] its random streams, so that results have the same
//! bits on every machine. Graphs, differentiation and layers are in other crates.

pub mod arena;
pub mod backend;
mod cost;
pub mod cpu;
pub mod error;
pub mod fits;
pub mod geometry;
pub mod kernel;
pub mod math;
pub mod numerics;
pub mod order;
pub mod random;
pub mod reference;
pub mod shape;
pub mod shards;

pub use arena::{Arena, Slot};
pub use backend::{Backend, Device, Halves};
pub use cpu::Cpu;
pub use error::{Error, Result};
pub use kernel::{Io, Kernel};
pub use numerics::Numerics;
pub use shape::Shape;
