//! A training step as data.
//!
//! In reading order: a [`Graph`] is a list of ops with shapes, built by calls that read like eager
//! code (`ops/` has one file per op family: shape rule, forward call, gradient).
//! [`Graph::backward`] walks that list from its end and appends the gradient ops to it. A [`Plan`]
//! gives every value its place in one arena before anything runs. An [`Executor`] then runs the
//! list again and again without allocating. [`gradcheck`] holds every gradient against central
//! differences, [`trace`] prints the step as a table, and [`memory_map`] draws its arena.

mod backward;
pub mod executor;
pub mod gradcheck;
pub mod graph;
pub mod memory_map;
pub mod ops;
pub mod plan;
pub mod trace;

pub use executor::Executor;
pub use graph::{Graph, Phase, Value};
pub use ops::batch_norm::BatchNormParams;
pub use ops::cross_entropy::cross_entropy_index;
pub use ops::partition_loss::LossTerms;
pub use ops::streaming_loss::LossInputs;
pub use plan::Plan;
pub use tensor::{Error, Result, Shape};
