//! The losses of the compared methods against their authors' code and central differences.

mod golden;
mod gradients;
mod state;
mod waves;
