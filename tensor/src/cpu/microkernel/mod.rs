//! The product at the bottom of every convolution and matrix product: rows of X, read where they lie,
//! times panels of weights, with a tile of sums that stays in registers.
//!
//! `sums[i,j] = sum over k of x[start_i + place of k] w[k,j]`
//!
//! [`multiply`] cuts the product into tiles as large as the registers. Every sum is one chain of fused
//! multiply-adds in the order of k, and lanes are different sums: whatever the tile's size, the bits
//! are the same.

mod copy_lanes;
mod multiply;
mod tile;
mod walk;

pub use copy_lanes::{copy_lanes, transpose_lanes};
pub use multiply::multiply;
pub use walk::Walk;
