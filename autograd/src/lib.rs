//! A training step as data.
//!
//! In reading order: a [`Graph`] is a list of kernels with shapes, built by calls that read like
//! eager code (`ops/` has one file per family: shape rules and gradients). [`Graph::fuse`] rewrites
//! that list into fewer, larger kernels. [`Graph::backward`] walks it backwards and appends the
//! kernels of its gradient. [`Graph::guard_updates`] keeps weights as they are where a gradient is not
//! finite. [`Graph::halve`] stores activations in bf16 where the device can.
//! [`Graph::recompute`] drops results and makes them anew, if the step has
//! to fit a memory budget. A [`Plan`] assigns every value its place in one arena before anything
//! runs. An [`Executor`] then runs the list repeatedly without allocating. [`gradcheck`] checks
//! every gradient against central differences, [`trace`] prints the step as a table,
//! [`memory_map`] draws its arena, and [`look_inside`] records what single ops read and write.

mod arrivals;
mod backward;
pub mod buckets;
pub mod exchange;
pub mod executor;
pub mod fuse;
pub mod gradcheck;
pub mod graph;
mod guard;
mod halve;
pub mod look_inside;
pub mod memory_map;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod ops;
pub mod plan;
pub mod recompute;
pub mod recorded_op;
pub mod shards;
pub mod sum_ranks;
pub mod threads;
pub mod trace;
pub mod transport;

pub use executor::Executor;
pub use fuse::{FoldedNorm, Pass, Passes};
pub use graph::{Graph, Phase, Value};
pub use look_inside::NonFinite;
pub use ops::batch_norm::BatchNormParams;
pub use ops::carp_loss::{LossInputs, LossTerms};
pub use ops::cross_entropy::cross_entropy_index;
pub use plan::Plan;
pub use recorded_op::{Operand, RecordedOp};
pub use tensor::shards::Shards;
pub use tensor::{Error, Result, Shape};
pub use transport::{AbortOnPanic, Alone, Lane, Transport};
