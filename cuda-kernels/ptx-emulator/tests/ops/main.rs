//! Each opcode of the emulator against a table of inputs and results.
//!
//! The results are those that the text of the PTX ISA states (its pseudo code, its tables of
//! special values, its error bounds), worked out by hand, or by NumPy; none comes from a run of the emulator
//! and none from this project's kernels.

mod approx;
mod compare;
mod convert;
mod declarations;
mod float;
mod float_special;
mod golden;
mod harness;
mod integer;
mod matrix;
mod mbarrier;
mod memory;
mod warp;
